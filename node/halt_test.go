// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"math"
	"testing"

	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
)

// A reader that halted answers from what it had, and a lookup costs it what it did
// before: the proof is verified for whoever asks for it, not for every lookup.
func TestAHaltedReaderVerifiesNothingToAnswer(t *testing.T) {
	ctx, c := found(t, 3)
	list(t, c, sha(1))
	reader, err := c.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	awaitMatches(t, ctx, reader, sha(1), 1)
	before := allocations(t, reader)
	if err := reader.Hear(ctx, fork(t, c)); err != nil {
		t.Fatal(err)
	}
	err = trial.Await(ctx, func() (bool, error) { return reader.Sync().State == federation.Halt, nil })
	if err != nil {
		t.Fatal("the proof of a fork halts nothing")
	}
	if a, err := reader.Match(ctx, []spec.Signal{sha(1)}); err != nil || len(a.Matches) != 1 || !a.Stale {
		t.Fatalf("halted: %+v, %v", a, err)
	}
	if after := allocations(t, reader); after > before+10 {
		t.Errorf("a lookup allocates %v times in HALT, and %v before", after, before)
	}
	checks := reader.Ready(ctx)
	if last := checks[len(checks)-1]; last.Name != "history" || last.OK || last.Reason == "" {
		t.Errorf("readiness: %+v", checks)
	}
}

// allocations is how often a lookup allocates, when nothing else does meanwhile.
func allocations(t *testing.T, p *trial.Participant) float64 {
	t.Helper()
	least := math.Inf(1)
	for range 200 {
		least = min(least, testing.AllocsPerRun(1, func() {
			if _, err := p.Match(t.Context(), []spec.Signal{sha(1)}); err != nil {
				t.Error(err)
			}
		}))
	}
	return least
}
