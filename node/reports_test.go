// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// Every member confirms each decision that it applied, once.
func TestMembersConfirmWhatTheyApplied(t *testing.T) {
	began := time.Now()
	ctx, c := foundWith(t, trial.Options{Members: 3, Receipts: 20 * time.Millisecond})
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
		if m.Times.Count != 2 || m.Behind != 0 || m.Late || m.Times.Max > time.Since(began).Milliseconds()+1000 || m.Times.P50 > m.Times.P99 {
			t.Errorf("%+v", m)
		}
	}
}
