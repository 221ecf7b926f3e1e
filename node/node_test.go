// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/media"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

func TestMain(m *testing.M) {
	media.RunChild()
	os.Exit(m.Run())
}

// found starts a consortium that ends with the test.
func found(t testing.TB, members int) (context.Context, *trial.Consortium) {
	t.Helper()
	return foundWith(t, trial.Options{Members: members})
}

func foundWith(t testing.TB, o trial.Options) (context.Context, *trial.Consortium) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	o.Dir, o.Logger = t.TempDir(), log
	o.Fatal = func(who string, err error) { t.Errorf("the node of %s failed: %v", who, err) }
	c, err := trial.Found(ctx, o)
	if err != nil {
		t.Fatalf("founding: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := c.Stop(ctx); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	return ctx, c
}

// leaderOf waits for a leader, and returns the other members too.
func leaderOf(t *testing.T, ctx context.Context, c *trial.Consortium) (leader *trial.Participant, others []*trial.Participant) {
	t.Helper()
	err := trial.Await(ctx, func() (bool, error) {
		leader, others = nil, nil
		for _, m := range c.Members {
			if m.Leads() && leader == nil {
				leader = m
			} else {
				others = append(others, m)
			}
		}
		return leader != nil, nil
	})
	if err != nil {
		t.Fatal("nobody leads")
	}
	return leader, others
}

func sha(b byte) spec.Signal {
	return spec.Signal{Type: "sha256", Value: bytes.Repeat([]byte{b}, 32)}
}

// matches asks a participant's own node.
func matches(t *testing.T, p *trial.Participant, s spec.Signal) []api.Match {
	t.Helper()
	a, err := p.Match(t.Context(), []spec.Signal{s})
	if err != nil {
		t.Fatalf("%s: %v", p.ID, err)
	}
	return a.Matches
}

func awaitMatches(t *testing.T, ctx context.Context, p *trial.Participant, s spec.Signal, want int) {
	t.Helper()
	err := trial.Await(ctx, func() (bool, error) {
		a, err := p.Match(ctx, []spec.Signal{s})
		return len(a.Matches) == want, err
	})
	if err != nil {
		t.Fatalf("%s never found %d matches: %v", p.ID, want, err)
	}
}

func TestFromProposalToMatchToRetraction(t *testing.T) {
	ctx, c := found(t, 3)
	if _, err := c.AddReader(ctx, "tango"); err != nil {
		t.Fatal(err)
	}
	alpha, bravo, charlie := c.Members[0], c.Members[1], c.Members[2]
	id, err := alpha.Propose(ctx, api.Proposal{
		Items: []api.ProposalItem{{Labels: []string{"isil"}, Signals: []spec.Signal{sha(1)}}}, Basis: "designated-entity",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range c.All() {
		if got := matches(t, p, sha(1)); len(got) != 0 {
			t.Fatalf("%s matches before the deciding vote", p.ID)
		}
	}
	if _, err := bravo.Vote(ctx, api.Ballot{Case: id, Choice: spec.Approve}); err != nil {
		t.Fatal(err)
	}
	if got := matches(t, bravo, sha(1)); len(got) != 1 || got[0].State != "active" {
		t.Fatalf("the deciding vote was acknowledged, but the voter's node finds %v", got)
	}
	for _, p := range c.All() {
		awaitMatches(t, ctx, p, sha(1), 1)
	}
	entry := matches(t, charlie, sha(1))[0].Entry
	dispute, err := charlie.Dispute(ctx, api.Claim{Entry: entry, Reason: "lawful-content"})
	if err != nil {
		t.Fatal(err)
	}
	if got := matches(t, charlie, sha(1)); len(got) != 1 || got[0].State != "disputed" {
		t.Fatalf("after the dispute: %v", got)
	}
	if _, err := bravo.Vote(ctx, api.Ballot{Case: dispute, Choice: spec.Approve}); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.All() {
		awaitMatches(t, ctx, p, sha(1), 0)
	}
}
