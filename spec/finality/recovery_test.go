// SPDX-License-Identifier: Apache-2.0

package finality_test

import (
	"slices"
	"testing"

	"github.com/tocsin-db/tocsin/spec/finality"
)

// recoveries are panels of which so many are gone, and as many go on: one that has to
// be lost for the quorum to be, and more.
var recoveries = [][3]int{{1, 1, 1}, {2, 1, 1}, {2, 1, 3}, {2, 1, 4}, {3, 2, 1}, {3, 2, 2}, {3, 2, 3}, {3, 3, 3}, {4, 2, 3}, {4, 2, 4}, {4, 3, 2}}

func recovering(of [3]int) finality.Recovering {
	return finality.Recovering{Panel: panel(of[0]), Gone: of[1], Next: panel(of[2]), Length: 2}
}

// Members that go on from the longest final history with another panel make nothing
// final that excludes what the first made final, whoever is told what.
func TestNoTwoHistoriesBecomeFinalOverARecovery(t *testing.T) {
	longer := recovering([3]int{2, 1, 2})
	longer.Length = 3
	settings := []finality.Recovering{longer}
	for _, of := range recoveries {
		settings = append(settings, recovering(of))
	}
	for _, r := range settings {
		f := r.Explore()
		if f.A != "" {
			t.Errorf("%+v: both %q and %q are final", r, f.A, f.B)
		}
		if !slices.Contains(f.Final, "xr") || !slices.Contains(f.Final, "ys") || !slices.Contains(f.Final, "xx") {
			t.Errorf("%+v: only %q can be final", r, f.Final)
		}
		t.Logf("%d sequencers, %d of them gone, %d go on, histories of %d: %d states", r.Sequencers, r.Gone, r.Next.Sequencers, r.Length, f.States)
	}
}

// Every part of what keeps the two eras apart is needed.
func TestEveryPartOfTheRecoveryIsNeeded(t *testing.T) {
	for what, spoil := range map[string]func(*finality.Recovering){
		"when who signed cosigns on":                func(r *finality.Recovering) { r.CosignOn = true },
		"when those who are gone come back":         func(r *finality.Recovering) { r.Return = true },
		"when it goes on from before what is final": func(r *finality.Recovering) { r.Shorter = true },
		"when one that is left did not sign":        func(r *finality.Recovering) { r.Unsigned = true },
		"when two are carried out":                  func(r *finality.Recovering) { r.Twice = true },
		"with the first panel's k lowered by one":   func(r *finality.Recovering) { r.K-- },
		"with the next panel's k lowered by one":    func(r *finality.Recovering) { r.Next.K--; r.Length = 3 },
	} {
		for _, of := range [][3]int{{3, 2, 3}, {4, 2, 4}} {
			r := recovering(of)
			spoil(&r)
			if f := r.Explore(); f.A == "" {
				t.Errorf("%s, of %d with %d gone, nothing goes wrong in %d states", what, of[0], of[1], f.States)
			}
		}
	}
}
