// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"time"

	"github.com/hashicorp/raft"
)

// Raft tells a follower of a commit with the next entries, or when its timer for
// that runs out. The herald tells it soon: an AppendEntries without entries
// that names, as the leader's commit, no more than what this follower is known to
// hold. So it says nothing that raft would not say a little later, and a follower
// whose log goes on differently after that is not led to commit the difference.
//
// Where nobody waits at a follower, it gives the next entry a moment to carry the
// news: a message less for each follower and commit.

// heraldAfter is that moment.
const heraldAfter = 2 * time.Millisecond

// told is what the herald needs to know about a follower.
type told struct {
	to        raft.ServerAddress
	header    raft.RPCHeader // of the leader's requests
	matchTerm uint64         // of the entry at match
	commit    uint64         // was sent to it
	sending   bool
}

// note takes down what the answer to a request teaches. Caller holds mu.
func (t *told) note(to raft.ServerAddress, req *raft.AppendEntriesRequest, match uint64) {
	if req.PrevLogEntry == 0 && len(req.Entries) == 0 {
		return // a heartbeat
	}
	t.to, t.header = to, req.RPCHeader
	if req.PrevLogEntry+uint64(len(req.Entries)) != match {
		return // an answer that comes late
	}
	t.matchTerm = req.PrevLogTerm
	if n := len(req.Entries); n > 0 {
		t.matchTerm = req.Entries[n-1].Term
	}
}

// tells notes what raft itself is about to tell a follower.
func (g *gate) tells(id raft.ServerID, req *raft.AppendEntriesRequest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.peers[id]; p.term == req.Term {
		p.commit = max(p.commit, min(req.LeaderCommitIndex, req.PrevLogEntry+uint64(len(req.Entries))))
		g.peers[id] = p
	}
}

// announce has the followers told that the entries up to index are committed. Only
// the leader of the term calls it.
func (g *gate) announce(index, term uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.due && !g.behind() { // entries carried what it was for
		g.due = false
		g.timer.Stop()
	}
	g.committed, g.term = index, term
	g.tellSoon()
}

// behind reports whether there is something that a follower should know and was not
// told. Caller holds mu.
func (g *gate) behind() bool {
	for _, p := range g.peers {
		if g.news(p) != nil {
			return true
		}
	}
	return false
}

// tellSoon has the followers told at once when somebody waits there, else after
// heraldAfter. Caller holds mu.
func (g *gate) tellSoon() {
	if g.hurry.Load() > 0 {
		g.tellAll()
		return
	}
	if g.due || g.done || !g.behind() {
		return
	}
	g.due = true
	if g.timer == nil {
		g.timer = time.AfterFunc(heraldAfter, g.tellNow)
	} else {
		g.timer.Reset(heraldAfter)
	}
}

func (g *gate) tellNow() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.due = false
	g.tellAll()
}

// tellAll begins to tell every follower. Caller holds mu.
func (g *gate) tellAll() {
	for id := range g.peers {
		g.tell(id)
	}
}

// Hurry has followers told of commits at once until done is called, because somebody
// waits there for one.
func (n *Node) Hurry() (done func()) {
	n.gate.hurry.Add(1)
	return func() { n.gate.hurry.Add(-1) }
}

// tell begins to tell a follower unless it knows or is being told. Caller holds mu.
func (g *gate) tell(id raft.ServerID) {
	p := g.peers[id]
	if req := g.news(p); req == nil || p.sending || g.done {
		return
	}
	p.sending = true
	g.peers[id] = p
	g.heralds.Go(func() { g.herald(id) })
}

// news returns what a follower does not know yet, or nil. Caller holds mu.
func (g *gate) news(p peerState) *raft.AppendEntriesRequest {
	if p.term != g.term || p.match == 0 || p.matchTerm == 0 || p.commit >= min(g.committed, p.match) {
		return nil
	}
	return &raft.AppendEntriesRequest{
		RPCHeader: p.header, Term: p.term,
		PrevLogEntry: p.match, PrevLogTerm: p.matchTerm, LeaderCommitIndex: min(g.committed, p.match),
	}
}

// herald tells one follower until there is nothing new. What is lost on the way
// raft tells again.
func (g *gate) herald(id raft.ServerID) {
	for {
		g.mu.Lock()
		p := g.peers[id]
		req := g.news(p)
		if req == nil {
			p.sending = false
			g.peers[id] = p
			g.mu.Unlock()
			return
		}
		p.commit = req.LeaderCommitIndex
		g.peers[id] = p
		g.mu.Unlock()
		if g.open() != nil {
			continue
		}
		// An answer of a higher term reaches raft with its own next request.
		var resp raft.AppendEntriesResponse
		_ = g.Transport.AppendEntries(id, p.to, req, &resp)
	}
}
