// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tocsin-db/tocsin/spec"
)

// catchUpLag is how many entries a new sequencer may lag behind and still be
// given a vote.
const catchUpLag = 200

const changeTimeout = 10 * time.Second

// Reconcile makes the sequencers that a case decided on, named by their raft
// server ids, the voters of raft, one change at a time. A new one receives the
// log without a vote first, and votes once it has kept up for cfg.Settle. One
// that is to leave goes only when a quorum of those that stay answers.
//
// It works on the leader and returns nil when nothing is left to do. It waits
// for what cannot be done yet, so ctx should end; its error then says what is
// missing. When the leader itself is to leave it hands leadership on and
// returns a *NotLeaderError: the next leader finishes. Calling it again is
// always safe.
func (n *Node) Reconcile(ctx context.Context, want []string) error {
	if len(want) == 0 {
		return spec.Errorf(spec.CodeUsage, "a consortium needs at least one sequencer")
	}
	m := &membership{n: n, want: want, kept: make(map[raft.ServerID]time.Time), asked: make(map[string]time.Time)}
	poll := time.NewTicker(n.cfg.heartbeat() / 4)
	defer poll.Stop()
	for {
		if err := n.leading(); err != nil {
			return err
		}
		missing, err := m.step(ctx)
		if err == nil && missing == "" {
			return nil
		}
		if err != nil {
			n.cfg.Logger.Warn("changing the sequencers", "error", err)
			missing = err.Error()
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("change the sequencers: %s: %w", missing, ctx.Err())
		case <-n.quit:
			return ErrStopped
		case <-n.brk.down:
			return ErrStopped
		}
	}
}

// membership is one run of Reconcile.
type membership struct {
	n     *Node
	want  []string
	kept  map[raft.ServerID]time.Time // since when a new server keeps up
	asked map[string]time.Time        // since when a server is to be removed
	conf  raft.Configuration
	at    uint64 // index of conf: a change based on an older one is refused
}

// step makes at most one change. It returns what is still missing, or "".
func (m *membership) step(ctx context.Context) (missing string, err error) {
	m.conf, m.at = m.n.configuration()
	if id := m.absent(); id != "" {
		return "adding " + id, m.n.wait(ctx, m.n.raft.AddNonvoter(raft.ServerID(id), raft.ServerAddress(id), m.at, changeTimeout))
	}
	if id := m.ready(); id != "" {
		return "promoting " + id, m.n.wait(ctx, m.n.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(id), m.at, changeTimeout))
	}
	// A replacement that is on its way comes before a removal; one that does
	// not answer holds nothing up.
	if id := m.learning(true); id != "" {
		return id + " has not caught up", nil
	}
	if id, safe := m.leaving(); id != "" {
		return m.remove(ctx, id, safe)
	}
	if id := m.learning(false); id != "" {
		return id + " does not answer", nil
	}
	return "", nil
}

func (n *Node) wait(ctx context.Context, f raft.IndexFuture) error {
	done := make(chan error, 1)
	go func() { done <- n.outcome(f) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// absent returns a wanted server that raft does not know.
func (m *membership) absent() string {
	for _, id := range m.want {
		if !slices.ContainsFunc(m.conf.Servers, func(s raft.Server) bool { return string(s.ID) == id }) {
			return id
		}
	}
	return ""
}

// ready returns a wanted server without a vote that has kept up long enough.
func (m *membership) ready() string {
	for _, s := range m.conf.Servers {
		if s.Suffrage == raft.Voter || !slices.Contains(m.want, string(s.ID)) {
			continue
		}
		p := m.n.gate.peer(s.ID, m.n.raft.CurrentTerm())
		if !m.fresh(p) || p.match+catchUpLag < m.n.raft.LastIndex() {
			delete(m.kept, s.ID)
			continue
		}
		since, ok := m.kept[s.ID]
		if !ok {
			m.kept[s.ID] = time.Now()
		} else if time.Since(since) >= m.n.cfg.Settle {
			return string(s.ID)
		}
	}
	return ""
}

// learning returns a wanted server that has no vote yet and, if answering is
// set, answers.
func (m *membership) learning(answering bool) string {
	for _, s := range m.conf.Servers {
		if s.Suffrage == raft.Voter || !slices.Contains(m.want, string(s.ID)) {
			continue
		}
		if !answering || m.fresh(m.n.gate.peer(s.ID, m.n.raft.CurrentTerm())) {
			return string(s.ID)
		}
	}
	return ""
}

// leaving returns a server that is not wanted, one without a vote first and
// this one last, and whether it may go now.
func (m *membership) leaving() (id string, safe bool) {
	var voter, self string
	for _, s := range m.conf.Servers {
		switch {
		case slices.Contains(m.want, string(s.ID)):
		case s.Suffrage != raft.Voter:
			return string(s.ID), true
		case string(s.ID) == m.n.cfg.ID:
			self = string(s.ID)
		default:
			voter = string(s.ID)
		}
	}
	if voter == "" {
		voter = self
	}
	return voter, voter != "" && m.quorumWithout(voter)
}

// quorumWithout reports whether the voters left without id can commit: only
// those count that have answered since the question came up.
func (m *membership) quorumWithout(id string) bool {
	asked, ok := m.asked[id]
	if !ok {
		asked = time.Now()
		m.asked[id] = asked
	}
	voters, answer := 0, 0
	for _, s := range m.conf.Servers {
		if s.Suffrage != raft.Voter || string(s.ID) == id {
			continue
		}
		voters++
		p := m.n.gate.peer(s.ID, m.n.raft.CurrentTerm())
		if string(s.ID) == m.n.cfg.ID || (m.fresh(p) && p.heard.After(asked)) {
			answer++
		}
	}
	return answer > voters/2
}

func (m *membership) fresh(p peerState) bool {
	return !p.heard.IsZero() && time.Since(p.heard) < m.n.cfg.heartbeat()
}

func (m *membership) remove(ctx context.Context, id string, safe bool) (string, error) {
	switch {
	case !safe:
		return "a quorum without " + id + " does not answer", nil
	case id == m.n.cfg.ID:
		return "handing leadership on before leaving", m.n.Transfer(ctx)
	}
	return "removing " + id, m.n.wait(ctx, m.n.raft.RemoveServer(raft.ServerID(id), m.at, changeTimeout))
}
