// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// A Server is one member of the raft configuration.
type Server struct {
	ID    string
	Voter bool
}

// A Status is a view of consensus from one node at one moment.
type Status struct {
	ID       string
	State    string // Follower, Candidate, Leader or Shutdown
	Term     uint64
	Leader   string // "" while none is known
	Last     uint64 // last entry in this node's log
	Commit   uint64 // last entry that this node knows to be committed
	Applied  uint64 // last entry whose effects are visible here
	Servers  []Server
	Contact  time.Duration // since the leader was last heard; 0 on the leader, -1 for never
	Stuck    time.Duration // of the append under way
	Applying time.Duration // of the group being applied
	Queued   int           // submissions waiting to be proposed
}

// Status never blocks on raft.
func (n *Node) Status() Status {
	_, leader := n.raft.LeaderWithID()
	return Status{
		ID: n.cfg.ID, State: n.raft.State().String(), Term: n.raft.CurrentTerm(), Leader: string(leader),
		Last: n.raft.LastIndex(), Commit: min(n.raft.CommitIndex(), n.log.durable()), Applied: n.fsm.done.get(),
		Servers: n.servers(), Contact: n.Contact(),
		Stuck: n.log.StuckFor(), Applying: n.fsm.busy.longest(), Queued: n.packer.queue.len(),
	}
}

// Contact is how long ago this node heard of the leader: 0 on the leader itself, -1
// for never.
func (n *Node) Contact() time.Duration {
	switch last := n.raft.LastContact(); {
	case n.raft.State() == raft.Leader:
		return 0
	case last.IsZero():
		return -1
	default:
		return time.Since(last)
	}
}

// Leader returns the raft server id of the leader as far as this node knows;
// ok is false while it knows none.
func (n *Node) Leader() (id string, ok bool) {
	_, leader := n.raft.LeaderWithID()
	return string(leader), leader != ""
}

// IsLeader reports whether this node leads and can act on it. Another may have
// been elected a moment ago.
func (n *Node) IsLeader() bool { return n.leading() == nil }

// Wake has a leader ask soon whether an entry is due (Config.Tick).
func (n *Node) Wake() { n.packer.look() }

// leading returns why this node cannot propose, or nil.
func (n *Node) leading() error {
	if n.brk.err() != nil {
		return ErrStopped
	}
	if n.raft.State() != raft.Leader {
		leader, _ := n.Leader()
		if leader == n.cfg.ID {
			leader = ""
		}
		return &NotLeaderError{Leader: leader}
	}
	if n.log.StuckFor() > stuckLimit {
		return &NotLeaderError{}
	}
	return nil
}

// Applied returns the last entry whose effects are visible on this node.
func (n *Node) Applied() uint64 { return n.fsm.done.get() }

// WaitApplied waits until the effects of the entry at index are visible on
// this node. It is meant for the index of an entry that was proposed; raft's
// own entries between them count only once a later one is applied.
func (n *Node) WaitApplied(ctx context.Context, index uint64) error {
	return n.fsm.done.wait(ctx, index, n.brk.down)
}

// Barrier returns an index such that every submission acknowledged anywhere
// before the call is in a database that has applied up to it. It costs one
// entry in the log and works on the leader only.
func (n *Node) Barrier(ctx context.Context) (uint64, error) {
	if err := n.leading(); err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- n.outcome(n.raft.Barrier(0)) }()
	select {
	case err := <-done:
		if err != nil {
			return 0, &NotLeaderError{}
		}
		return n.Applied(), n.brk.err()
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-n.brk.down:
		return 0, ErrStopped
	}
}

// CaughtUp returns once this leader's database holds all that was acknowledged
// before it was elected, which a follower may have been about to apply. It costs
// an entry in the log at the first call of a term and nothing after it.
// The term is for StillLeads.
func (n *Node) CaughtUp(ctx context.Context) (term uint64, err error) {
	term = n.raft.CurrentTerm()
	if n.caught.Load() == term {
		return term, nil
	}
	if _, err := n.Barrier(ctx); err != nil {
		return term, err
	}
	n.caught.Store(term)
	return term, nil
}

// StillLeads returns nil when this node has led from the CaughtUp that returned
// term until now: then what its database said meanwhile is what any leader's
// would have. One that was replaced does not know it for the length of its lease,
// or for longer where its clock or processor stood still; and answers to
// heartbeats, which are quicker to have, may have been given before the call.
// From then on the database also holds what any node had applied at the call: a
// leader may be behind its followers, which are told of a commit before it applies
// it. It costs an entry in the log.
func (n *Node) StillLeads(ctx context.Context, term uint64) error {
	if _, err := n.Barrier(ctx); err != nil {
		return err
	}
	if n.raft.CurrentTerm() != term {
		return &NotLeaderError{}
	}
	return nil
}

func (n *Node) configuration() (raft.Configuration, uint64) {
	f := n.raft.GetConfiguration() // answered from memory
	if f.Error() != nil {
		return raft.Configuration{}, 0
	}
	return f.Configuration(), f.Index()
}

func (n *Node) servers() []Server {
	conf, _ := n.configuration()
	servers := make([]Server, 0, len(conf.Servers))
	for _, s := range conf.Servers {
		servers = append(servers, Server{ID: string(s.ID), Voter: s.Suffrage == raft.Voter})
	}
	slices.SortFunc(servers, func(a, b Server) int { return strings.Compare(a.ID, b.ID) })
	return servers
}

func (n *Node) voters() []string {
	var ids []string
	for _, s := range n.servers() {
		if s.Voter {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
