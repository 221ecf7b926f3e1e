// SPDX-License-Identifier: Apache-2.0

package finality_test

import (
	"slices"
	"testing"

	"github.com/tocsin-db/tocsin/spec/finality"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// panel is n sequencers with as many liars as they tolerate.
func panel(n int) finality.Panel {
	p := finality.Panel{Sequencers: n, K: tlog.Quorum(n)}
	if n >= 4 {
		p.Liars = 2*p.K - n - 1
	}
	return p
}

// setting is a consortium of n.
func setting(n int) finality.Setting {
	return finality.Setting{Panel: panel(n), Leaves: "xy", Length: 2}
}

// handOff is n sequencers of whom so many honest ones stay as n others take over.
func handOff(n, to, kept int) finality.Setting {
	s := finality.Setting{Panel: panel(n), Next: &finality.Next{Panel: panel(to), Kept: kept}, Leaves: "x", Length: 2}
	if n+to-kept < 4 {
		s.Leaves = "xy" // of more sequencers there are too many states: that x and h exclude each other has to do
	}
	return s
}

// Whatever is crashed, restored and told to whom: with the rule as it is, no two
// final checkpoints exclude each other.
func TestNoTwoHistoriesBecomeFinal(t *testing.T) {
	for n := 1; n <= 7; n++ {
		s := setting(n)
		f := finality.Explore(s)
		if f.A != "" {
			t.Errorf("%+v: both %q and %q are final", s, f.A, f.B)
		}
		if len(f.Final) != 6 {
			t.Errorf("%+v: only %q can be final", s, f.Final)
		}
		t.Logf("%d sequencers, %d of them lying, k = %d: %d states", n, s.Liars, s.K, f.States)
	}
}

// handOffs are panels that grow, shrink, exchange one, and exchange all.
var handOffs = [][3]int{{1, 1, 0}, {1, 2, 1}, {1, 3, 1}, {2, 1, 1}, {2, 2, 1}, {2, 3, 2}, {3, 3, 2}, {3, 3, 0}, {3, 4, 3}, {4, 3, 3}, {4, 4, 2}}

// Nor over a hand-off: also when the old and the new panel are each told what they
// like, none of them is in both, and each has as many liars as it tolerates.
func TestNoTwoHistoriesBecomeFinalOverAHandOff(t *testing.T) {
	for _, of := range handOffs {
		s := handOff(of[0], of[1], of[2])
		f := finality.Explore(s)
		if f.A != "" {
			t.Errorf("%+v to %+v: both %q and %q are final", s.Panel, *s.Next, f.A, f.B)
		}
		if !slices.Contains(f.Final, "xh") || !slices.Contains(f.Final, "hx") {
			t.Errorf("%+v to %+v: only %q can be final", s.Panel, *s.Next, f.Final)
		}
		t.Logf("%d sequencers hand over to %d, %d of them the same: %d states", of[0], of[1], of[2], f.States)
	}
}

// Every part of the rule is needed: without it, the explorer finds two histories.
func TestEveryPartOfTheRuleIsNeeded(t *testing.T) {
	for what, spoil := range map[string]func(*finality.Setting){
		"without a store of its own":         func(s *finality.Setting) { s.NoStore = true },
		"when a cosignature leaves first":    func(s *finality.Setting) { s.SendFirst = true },
		"when consistency is not checked":    func(s *finality.Setting) { s.Unchecked = true },
		"with k lowered by one":              func(s *finality.Setting) { s.K-- },
		"with one liar more than 2k − n − 1": func(s *finality.Setting) { s.Liars++ },
	} {
		for n := 2; n <= 7; n++ {
			s := setting(n)
			if what == "with one liar more than 2k − n − 1" && n%2 == 0 && n < 4 {
				continue // two of two: one liar alone makes nothing final
			}
			spoil(&s)
			if f := finality.Explore(s); f.A == "" {
				t.Errorf("%s, of %d sequencers nothing goes wrong in %d states", what, n, f.States)
			}
		}
	}
}

// So is every part over a hand-off. That the first panel cosigns it, and that nothing
// is cosigned behind it before it is final, keep a panel that another leader calls
// into being from making a second history final.
func TestEveryPartOfTheHandOffIsNeeded(t *testing.T) {
	for what, spoil := range map[string]func(*finality.Setting){
		"without the cosignatures of the first panel":       func(s *finality.Setting) { s.WithoutOld = true },
		"when what stands behind it does not wait for it":   func(s *finality.Setting) { s.Ahead = true },
		"without a store of its own":                        func(s *finality.Setting) { s.NoStore = true },
		"when a cosignature leaves first":                   func(s *finality.Setting) { s.SendFirst = true },
		"when consistency is not checked":                   func(s *finality.Setting) { s.Unchecked = true },
		"with the first panel's k lowered by one":           func(s *finality.Setting) { s.K-- },
		"with one liar more than the first panel tolerates": func(s *finality.Setting) { s.Liars++ },
	} {
		for _, of := range [][3]int{{3, 3, 2}, {3, 3, 0}, {4, 4, 2}, {3, 4, 1}} {
			s := handOff(of[0], of[1], of[2])
			spoil(&s)
			if f := finality.Explore(s); f.A == "" {
				t.Errorf("%s, from %d to %d with %d the same, nothing goes wrong in %d states", what, of[0], of[1], of[2], f.States)
			}
		}
	}
}

// No two disjoint groups make final, and from four on less than a third may stay away.
func TestQuorumsMeet(t *testing.T) {
	for n := 1; n <= 9; n++ {
		k := tlog.Quorum(n)
		if n >= 4 && 3*(n-k) >= n {
			t.Errorf("of %d, %d may crash: more than a third", n, n-k)
		}
		if 2*k <= n {
			t.Errorf("of %d, two halves of %d can each make final", n, k)
		}
	}
}
