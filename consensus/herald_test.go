// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// Time in a bubble moves only while everybody waits, so what is seen within a
// millisecond was not waited for.
func TestFollowersSeeACommitAtOnce(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		n := 0
		for round := range 4 {
			led := c.leader()
			c.fill("warm", 1)
			n = len(c.converge(-1))
			for range 5 {
				begin := time.Now()
				if _, err := led.node.Submit(c.ctx, sub("op-%d", n)); err != nil {
					t.Fatal(err)
				}
				n++
				c.everywhere(n)
				if took := time.Since(begin); took > time.Millisecond {
					t.Errorf("in round %d the followers saw the commit after %v", round, took)
				}
				<-time.After(300 * time.Millisecond) // nothing is under way when the next comes
			}
			if err := led.node.Transfer(c.ctx); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// everywhere waits for n operations on every member, without polling.
func (c *cluster) everywhere(n int) {
	c.t.Helper()
	index := c.leader().node.Applied()
	ctx, cancel := context.WithTimeout(c.ctx, 10*time.Second)
	defer cancel()
	for _, m := range c.members {
		if err := m.node.WaitApplied(ctx, index); err != nil {
			c.t.Fatal(err)
		}
		if ops := m.store.ops(); len(ops) != n {
			c.t.Fatalf("%s has %d operations, want %d", m.id, len(ops), n)
		}
	}
}

// A follower whose log goes on beyond what it shares with the leader must not be
// led to commit the rest.
func TestNothingIsAnnouncedBeyondWhatAFollowerHolds(t *testing.T) {
	_, trans := raft.NewInmemTransport("a")
	g, err := newGate(trans, func() time.Duration { return 0 }, newBreaker(func(*Fault) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	req := &raft.AppendEntriesRequest{Term: 3, PrevLogEntry: 7, PrevLogTerm: 2, Entries: []*raft.Log{{Index: 8, Term: 3}}, LeaderCommitIndex: 6}
	g.heard("b", "b", req, &raft.AppendEntriesResponse{Success: true})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.committed, g.term = 12, 3
	news := g.news(g.peers["b"])
	if news == nil || news.LeaderCommitIndex != 8 || news.PrevLogEntry != 8 || news.PrevLogTerm != 3 || len(news.Entries) != 0 {
		t.Errorf("the follower holds 8 entries and is told %+v", news)
	}
	g.term = 4
	if news := g.news(g.peers["b"]); news != nil {
		t.Errorf("told in term 4 what was learnt in term 3: %+v", news)
	}
}
