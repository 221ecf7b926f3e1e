// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"fmt"
	"math/rand/v2"
	"slices"
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

// Every kernel that scans homes finds in the buckets of each band what a comparison
// lane by lane finds, and not in the band behind the last.
func TestKernelsScanHomesAlike(t *testing.T) {
	eachKernel(t, func(t *testing.T, name string) {
		k, rng := kernelNamed(name), rand.New(rand.NewPCG(43, 44))
		if k.scanHomes == nil {
			if name != "go" {
				t.Fatal("only Go looks at every bucket's place")
			}
			return
		}
		for range 400 {
			const value = 0x5a3c
			size := uint(2 + rng.IntN(5))
			u := randomUnits(rng, 3<<size, value)
			bands := make([]homeBand, 2+rng.IntN(6))
			var runs []run
			for i := range bands {
				b := homeBand{uint32(rng.IntN(2<<size + 1)), uint32(rng.IntN(1 << size)), value ^ uint64(rng.IntN(2)<<rng.IntN(16))}
				bands[i] = b
				if i == len(bands)-1 {
					break
				}
				runs = append(runs, run{oneUnit | uint64(b.home+b.at), newFilter(uint16(b.want), 3)})
				for bit := range size {
					runs = append(runs, run{oneUnit | uint64(b.home+(b.at^1<<bit)), newFilter(uint16(b.want), 2)})
				}
			}
			k.prefetchHomes(u, &bands[0], size)
			out := make([]uint32, (len(bands)-1)*mostRuns*unitLanes)
			got := out[:k.scanHomes(u, bands, size, out)]
			want := wanted(u, runs)
			slices.Sort(got)
			slices.Sort(want)
			if len(want) == 0 || !slices.Equal(got, want) {
				t.Fatalf("%d positions, want %d", len(got), len(want))
			}
		}
	})
}
