// SPDX-License-Identifier: Apache-2.0

package finality_test

import (
	"testing"

	"github.com/tocsin-db/tocsin/spec/finality"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// setting is a consortium of n with as many liars as it tolerates.
func setting(n int) finality.Setting {
	s := finality.Setting{Sequencers: n, K: tlog.Quorum(n), Length: 2}
	if n >= 4 {
		s.Liars = 2*s.K - n - 1
	}
	if n > 5 {
		s.Length = 1
	}
	return s
}

// Whatever is crashed, restored and told to whom: with the rule as it is, no two
// final checkpoints exclude each other.
func TestNoTwoHistoriesBecomeFinal(t *testing.T) {
	for n := 1; n <= 7; n++ {
		s := setting(n)
		states, a, b := finality.Explore(s)
		if a != "" {
			t.Errorf("%+v: both %q and %q are final", s, a, b)
		}
		if n > 1 && states < 100 {
			t.Errorf("%+v: only %d states were visited", s, states)
		}
		t.Logf("%d sequencers, %d of them lying, k = %d: %d states", n, s.Liars, s.K, states)
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
			if states, a, _ := finality.Explore(s); a == "" {
				t.Errorf("%s, of %d sequencers nothing goes wrong in %d states", what, n, states)
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
