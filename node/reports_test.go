// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// Every member confirms each decision that it applied, once.
func TestMembersConfirmWhatTheyApplied(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := trial.Found(ctx, trial.Options{
		Dir: t.TempDir(), Members: 3, Receipts: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
		Fatal: func(who string, err error) { t.Errorf("the node of %s failed: %v", who, err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	alpha := c.Members[0]
	decide := func(value byte) {
		t.Helper()
		id, err := alpha.Propose(ctx, api.Proposal{Basis: "test", Items: []api.ProposalItem{
			{Labels: []string{"x"}, Signals: []spec.Signal{{Type: "md5", Value: append(make([]byte, 15), value)}}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Members[1].Vote(ctx, api.Ballot{Case: id, Choice: spec.Approve}); err != nil {
			t.Fatal(err)
		}
	}
	report := func(want func(*api.Propagation) bool) *api.Propagation {
		t.Helper()
		for {
			p, err := alpha.Propagation(ctx)
			if err != nil {
				t.Fatalf("waiting for the receipts: %v, %+v", err, p)
			}
			if want(p) {
				return p
			}
			if err := alpha.AwaitSize(ctx, p.Size); err != nil {
				t.Fatalf("waiting for the log to grow: %v, %+v", err, p)
			}
		}
	}
	decide(1)
	decide(2)
	p := report(func(p *api.Propagation) bool {
		for _, m := range p.Members {
			if m.Times.Count < 2 {
				return false
			}
		}
		return true
	})
	for _, m := range p.Members {
		if m.Times.Count != 2 || m.Behind != 0 || m.Late || m.Times.Max > 30_000 || m.Times.P50 > m.Times.P99 {
			t.Errorf("%+v", m)
		}
	}
}
