// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// Time in a bubble moves only while everybody waits, so what is seen within a
// millisecond was not waited for.
func TestFollowersSeeACommitAtOnceWhereSomebodyWaits(t *testing.T) {
	seeCommits(t, time.Millisecond, func(n *Node) (done func()) { return n.Hurry() })
}

func TestFollowersSeeACommitSoon(t *testing.T) {
	seeCommits(t, heraldAfter+time.Millisecond, func(*Node) (done func()) { return func() {} })
}

// seeCommits holds how long followers take to see a commit against a limit.
func seeCommits(t *testing.T, limit time.Duration, hurry func(*Node) (done func())) {
	inCluster(t, 3, nil, func(c *cluster) {
		n := 0
		for round := range 4 {
			led := c.leader()
			c.fill("warm", 1)
			n = len(c.converge(-1))
			for range 5 {
				begin, done := time.Now(), hurry(led.node)
				if _, err := led.node.Submit(c.ctx, sub("op-%d", n)); err != nil {
					t.Fatal(err)
				}
				n++
				c.everywhere(n)
				done()
				if took := time.Since(begin); took > limit {
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

// A countingTransport sends nothing and counts what it was to send.
type countingTransport struct {
	*raft.InmemTransport
	sent atomic.Int32
}

func (c *countingTransport) AppendEntries(raft.ServerID, raft.ServerAddress, *raft.AppendEntriesRequest, *raft.AppendEntriesResponse) error {
	c.sent.Add(1)
	return nil
}

// While entries follow one another they say themselves what is committed; the last one
// is told of, once.
func TestTheNextEntryCarriesTheNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, inmem := raft.NewInmemTransport("a")
		trans := &countingTransport{InmemTransport: inmem}
		g, err := newGate(trans, func() time.Duration { return 0 }, newBreaker(func(*Fault) {}))
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		const entries = 10
		for i := range uint64(entries) {
			req := &raft.AppendEntriesRequest{Term: 3, PrevLogEntry: 7 + i, PrevLogTerm: 3, Entries: []*raft.Log{{Index: 8 + i, Term: 3}}, LeaderCommitIndex: 7 + i}
			g.tells("b", req)
			g.heard("b", "b", req, &raft.AppendEntriesResponse{Success: true})
			g.announce(8+i, 3)
			<-time.After(heraldAfter * 3 / 4)
		}
		if n := trans.sent.Load(); n != 0 {
			t.Errorf("%d messages beside %d entries", n, entries)
		}
		<-time.After(heraldAfter)
		g.heralds.Wait()
		if n := trans.sent.Load(); n != 1 {
			t.Errorf("%d messages after the last entry, want one", n)
		}
	})
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
