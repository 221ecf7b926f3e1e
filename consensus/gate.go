// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// stuckLimit is how long an append to the own log may take before a leader
// stops talking to its followers, so that they elect another. Raft sends
// heartbeats while the disk hangs, and so keeps a leader that cannot commit.
const stuckLimit = 2 * time.Second

// gate is the transport as raft sees it. It refuses what a leader sends while
// its own disk hangs or after a fault, never pipelines (raft can deadlock
// there for ever when a follower refuses an append), notes how far each
// follower is, which raft does not tell, and sifts what comes in.
type gate struct {
	raft.Transport
	vote  raft.WithPreVote
	stuck func() time.Duration
	brk   *breaker

	durable func() uint64 // how far the own log is durable; nil: all of it

	requests chan raft.RPC // what sift lets through
	closed   chan struct{}
	close    sync.Once

	mu        sync.Mutex
	peers     map[raft.ServerID]peerState
	committed uint64 // announced by the leader of term
	term      uint64
	done      bool           // closed
	hurry     atomic.Int32   // how many wait at followers
	timer     *time.Timer    // of tellNow; nil before the first
	due       bool           // it runs
	heralds   sync.WaitGroup // under way; none begins once done
}

// peerState is what a leader knows about a follower.
type peerState struct {
	term  uint64    // the leader's term that this belongs to
	match uint64    // the follower's log agrees with ours up to here
	heard time.Time // last answer
	told
}

func newGate(t raft.Transport, stuck func() time.Duration, brk *breaker) (*gate, error) {
	vote, ok := t.(raft.WithPreVote)
	if !ok {
		return nil, fmt.Errorf("the raft transport %T cannot pre-vote", t)
	}
	g := &gate{
		Transport: t, vote: vote, stuck: stuck, brk: brk, peers: make(map[raft.ServerID]peerState),
		requests: make(chan raft.RPC), closed: make(chan struct{}),
	}
	go g.sift(t.Consumer())
	return g, nil
}

// Consumer and SetHeartbeatHandler are the two ways in.
func (g *gate) Consumer() <-chan raft.RPC { return g.requests }

func (g *gate) SetHeartbeatHandler(handle func(raft.RPC)) {
	if handle == nil {
		g.Transport.SetHeartbeatHandler(nil)
		return
	}
	g.Transport.SetHeartbeatHandler(g.heartbeat(handle))
}

func (g *gate) open() error {
	if err := g.brk.err(); err != nil {
		return err
	}
	if d := g.stuck(); d > stuckLimit {
		return fmt.Errorf("an append to the own log has taken %v: not acting as leader", d)
	}
	return nil
}

func (g *gate) AppendEntries(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if err := g.open(); err != nil {
		return err
	}
	if g.durable != nil {
		req.LeaderCommitIndex = min(req.LeaderCommitIndex, g.durable())
	}
	g.tells(id, req)
	if err := g.Transport.AppendEntries(id, to, req, resp); err != nil {
		return err
	}
	g.heard(id, to, req, resp)
	return nil
}

func (g *gate) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

func (g *gate) InstallSnapshot(id raft.ServerID, to raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if err := g.open(); err != nil {
		return err
	}
	return g.Transport.InstallSnapshot(id, to, req, resp, data)
}

// RequestPreVote and RequestVote: who could not act as leader does not run for it.
func (g *gate) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	if err := g.open(); err != nil {
		return err
	}
	return g.vote.RequestPreVote(id, to, req, resp)
}

func (g *gate) RequestVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	if err := g.open(); err != nil {
		return err
	}
	return g.Transport.RequestVote(id, to, req, resp)
}

// Close closes the transport underneath where it can be closed.
func (g *gate) Close() error {
	g.close.Do(func() {
		g.mu.Lock()
		g.done = true
		if g.timer != nil {
			g.timer.Stop()
		}
		g.mu.Unlock()
		close(g.closed)
	})
	if c, ok := g.Transport.(raft.WithClose); ok {
		return c.Close()
	}
	return nil
}

func (g *gate) heard(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.peers[id]
	if p.term != req.Term {
		p = peerState{term: req.Term, told: told{sending: p.sending}}
	}
	p.heard = time.Now()
	if resp.Success {
		p.match = max(p.match, req.PrevLogEntry+uint64(len(req.Entries)))
		p.note(to, req, p.match)
	}
	g.peers[id] = p
	if p.term == g.term {
		g.tellSoon()
	}
}

// peer returns what is known about a follower in a term.
func (g *gate) peer(id raft.ServerID, term uint64) peerState {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.peers[id]; p.term == term {
		return p
	}
	return peerState{}
}
