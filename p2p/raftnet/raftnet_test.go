// SPDX-License-Identifier: Apache-2.0

package raftnet_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tocsin-db/tocsin/p2p/raftnet"
)

const (
	overTCP  = "/ip4/127.0.0.1/tcp/0"
	overQUIC = "/ip4/127.0.0.1/udp/0/quic-v1"
)

func TestElectionReplicationRestart(t *testing.T) {
	for name, listen := range map[string]string{"tcp": overTCP, "quic": overQUIC} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, listen)
			c.commit("one")
			c.wantEverywhere("one", c.nodes...)

			leader := c.leader()
			var follower *node
			for _, n := range c.nodes {
				if n != leader {
					follower = n
				}
			}
			follower.stop()
			c.commit("two", follower)
			follower.listen()
			follower.start()
			c.commit("three")
			for _, data := range []string{"one", "two", "three"} {
				c.wantEverywhere(data, c.nodes...)
			}
		})
	}
}

func TestLeaderWithAHungLogIsReplaced(t *testing.T) {
	c := newCluster(t, overTCP)
	c.commit("before")
	var old *node
	eventually(t, "the gate shuts", func() bool {
		if old == nil || old.log.stuckFor() == 0 && old.raft.State() != raft.Leader { // it lost its lead before it appended
			if old != nil {
				old.log.release()
			}
			old = c.leader()
			old.log.hang()
			_ = old.raft.Apply([]byte("hung"), 0) // its append never returns
		}
		return old.log.stuckFor() > 500*time.Millisecond
	})
	var resp raft.AppendEntriesResponse
	other := c.nodes[0]
	if other == old {
		other = c.nodes[1]
	}
	err := old.trans.AppendEntries(raft.ServerID(other.id), raft.ServerAddress(other.id), &raft.AppendEntriesRequest{}, &resp)
	if !errors.Is(err, raftnet.ErrStuck) {
		t.Fatalf("heartbeat of a stuck node: %v", err)
	}

	c.commit("after", old)
	old.log.release()
	c.wantEverywhere("after", c.nodes...)
}

// A follower that refuses appends for a while is served again afterwards. With
// pipelining its replication can stop for good.
func TestFollowerWithFailingAppendsCatchesUp(t *testing.T) {
	c := newCluster(t, overTCP)
	c.commit("one")
	leader := c.leader()
	follower := c.nodes[0]
	if follower == leader {
		follower = c.nodes[1]
	}
	follower.log.flaky(3)
	for i := 0; follower.log.attempts() < 12; i++ {
		c.commit(fmt.Sprintf("while it fails %d", i))
	}
	follower.log.flaky(0)
	c.commit("last")
	c.wantEverywhere("last", c.nodes...)
}

func TestRaftStreamsOnlyFromVoters(t *testing.T) {
	c := newCluster(t, overTCP)
	c.commit("one")
	outsider, inside := c.nodes[0], c.nodes[1]
	var resp raft.RequestVoteResponse
	vote := func() error {
		return outsider.trans.RequestVote(raft.ServerID(inside.id), raft.ServerAddress(inside.id), &raft.RequestVoteRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: 3}}, &resp)
	}
	eventually(t, "a node is heard", func() bool { return vote() == nil })
	c.barred.Store(outsider.id, true)
	for _, n := range c.nodes {
		n.host.Recheck() // ends the streams that are open
	}
	eventually(t, "the barred node is cut off", func() bool { return vote() != nil })
	if err := vote(); err == nil {
		t.Fatal("a barred node was heard again")
	}
	c.commit("two", outsider)
	c.wantEverywhere("two", c.nodes[1], c.nodes[2])
}
