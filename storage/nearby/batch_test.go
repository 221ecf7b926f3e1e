// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestBatchAnswersLikeSearch(t *testing.T) {
	for name, opts := range map[string][]Option{
		"one segment":      nil,
		"several segments": {withRowCap(1 << 12)},
		"limits":           {withRowCap(1 << 12), WithLimits(Limits{Scanned: 1 << 14, Candidates: 300, Matches: 5})},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(21, 22))
			x := New(opts...)
			hs := cloud(rng, fewer(6000))
			for i, h := range hs {
				mustAdd(t, x, h, uint64(i))
			}
			var out Results
			for _, n := range []int{0, 1, 2, 3, 63, 1000, 64} {
				for _, radius := range []int{31, 12, 40, -1} {
					qs := make([][32]byte, n)
					for i := range qs {
						qs[i] = flip(rng, hs[rng.IntN(len(hs))], rng.IntN(40))
					}
					x.SearchBatch(qs, radius, &out)
					if out.Len() != n {
						t.Fatalf("%d answers to %d queries", out.Len(), n)
					}
					for i := range qs {
						got, gotCut := out.Of(i)
						want, wantCut := x.Search(&qs[i], radius, nil)
						if !slices.Equal(got, want) || gotCut != wantCut {
							t.Fatalf("query %d of %d at radius %d: %d matches, truncated %v; alone %d, %v",
								i, n, radius, len(got), gotCut, len(want), wantCut)
						}
					}
				}
			}
		})
	}
}
