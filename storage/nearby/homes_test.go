// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// oneCrowd makes n hashes, a share of them near one parent, so that a few buckets of
// an otherwise even index overflow.
func oneCrowd(rng *rand.Rand, n, copies int) (parent [32]byte, hs [][32]byte) {
	parent = randomHash(rng)
	for i := range n {
		if i < copies {
			hs = append(hs, flip(rng, parent, 1+rng.IntN(24)))
		} else {
			hs = append(hs, randomHash(rng))
		}
	}
	return parent, hs
}

// A load of any size finds everything, before and after hashes are added one at a time:
// those of buckets that have outgrown their home, too.
func TestCrowdsInALoadedIndexAreFound(t *testing.T) {
	for _, bits := range []uint{0, 4, 5, 6, 7, 9, 12} {
		t.Run(fmt.Sprintf("%d bits at least", bits), func(t *testing.T) {
			eachKernel(t, func(t *testing.T, kernel string) {
				rng := rand.New(rand.NewPCG(41, uint64(bits)))
				for _, n := range []int{60, 150, 300, 500, 700, 1500} {
					parent, hs := oneCrowd(rng, n, 20+rng.IntN(40))
					x, m := New(WithKernel(kernel), withLeastBits(bits)), model{}
					l := x.Loader(0)
					for i, h := range hs {
						m.add(h, uint64(i))
						if err := l.Add(&h, uint64(i)); err != nil {
							t.Fatal(err)
						}
					}
					if err := l.Finish(nil); err != nil {
						t.Fatal(err)
					}
					ask := func() {
						t.Helper()
						for _, radius := range []int{31, 31, 31, 24, 17, 8} {
							check(t, x, m, flip(rng, parent, rng.IntN(radius)), radius)
							check(t, x, m, flip(rng, hs[rng.IntN(len(hs))], rng.IntN(radius)), radius)
						}
					}
					ask()
					checkInvariants(t, x)
					for i := range 30 + n/4 {
						h := randomHash(rng)
						if i%2 == 0 {
							h = flip(rng, parent, 1+rng.IntN(24))
						}
						m.add(h, uint64(n+i))
						mustAdd(t, x, h, uint64(n+i))
					}
					ask()
					checkInvariants(t, x)
				}
			})
		})
	}
}
