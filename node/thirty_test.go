// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// approveAll has members vote for a case at the same time, each as soon as it knows
// it. Those that come after the decision are told so.
func approveAll(ctx context.Context, id spec.Hash, members []*trial.Participant) error {
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() {
			errs[i] = trial.Await(ctx, func() (bool, error) {
				_, err := m.Vote(ctx, api.Ballot{Case: id, Choice: spec.Approve})
				switch spec.CodeOf(err) {
				case spec.CodeCaseClosed:
					return true, nil
				case spec.CodeCase, spec.CodeUnavailable, spec.CodeNotLeader:
					return false, nil
				}
				return true, err
			})
			if errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", m.ID, errs[i])
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// servers are the organisations that raft on a member's node counts.
func servers(p *trial.Participant, all []*trial.Participant) (ids []string) {
	for _, s := range p.Servers() {
		for _, m := range all {
			if s.Voter && string(m.PeerOf(m.ID)) == s.ID {
				ids = append(ids, m.ID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// Thirty members vote, seven of them are sequencers. What others propose and decide
// matches on every node; raft has the seven and nobody else, also after a case put
// another in the place of one of them.
func TestThirtyMembersWithSevenSequencers(t *testing.T) {
	named := []string{"alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf"}
	ctx, c := foundFor(t, 5*time.Minute, trial.Options{Members: 30, Sequence: named})
	all := slices.Clone(c.Members)
	seven, others := all[:7], all[7:]
	check := func(want []string, who []*trial.Participant) {
		t.Helper()
		for _, m := range who {
			if got := servers(m, all); !slices.Equal(got, want) || len(m.Servers()) != len(want) {
				t.Errorf("%s counts %v, want %v", m.ID, got, want)
			}
		}
	}
	check(named, seven)
	listed := func(s spec.Signal, by *trial.Participant, voters []*trial.Participant) {
		t.Helper()
		id, err := by.Propose(ctx, api.Proposal{Items: []api.ProposalItem{{Labels: []string{"x"}, Signals: []spec.Signal{s}}}, Basis: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if err := approveAll(ctx, id, voters[:14]); err != nil {
			t.Fatal(err)
		}
		if got := matches(t, by, s); len(got) != 0 {
			t.Fatal("listed by half of the members")
		}
		if err := approveAll(ctx, id, voters[14:15]); err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			awaitMatches(t, ctx, m, s, 1)
		}
	}
	listed(sha(1), others[0], others[1:])

	p, err := others[1].Policy(ctx)
	if err != nil {
		t.Fatal(err)
	}
	next := *p
	gone, come := seven[6], others[2]
	next.Sequencers = append(slices.Clone(named[:6]), come.ID)
	slices.Sort(next.Sequencers)
	id, err := others[1].Submit(ctx, "", func(text []byte) spec.Body { return &spec.PolicyChange{Over: p.Digest(), Policy: next, Text: text} })
	if err != nil {
		t.Fatal(err)
	}
	if err := approveAll(ctx, id, others[2:21]); err != nil {
		t.Fatal(err)
	}
	now := append(slices.Clone(all[:6]), come)
	err = c.Settle(ctx, func() (bool, error) {
		for _, m := range now {
			if !slices.Equal(m.Panel(), next.Sequencers) || m.MayCosign() != nil || len(m.Servers()) != 7 || !slices.Equal(servers(m, all), next.Sequencers) {
				return false, nil
			}
		}
		return gone.Sync() != nil, nil
	})
	if err != nil {
		for _, m := range append(now, gone) {
			t.Logf("%s: panel %v, may cosign: %v", m.ID, m.Panel(), m.MayCosign())
		}
		t.Fatalf("one takes the place of another: %v", err)
	}
	listed(sha(2), gone, others)
}
