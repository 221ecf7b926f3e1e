// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"math/rand/v2"
	"testing"
)

// cloud returns hashes of which many lie near each other: half around few
// parents, some in chains, the rest anywhere.
func cloud(rng *rand.Rand, n int) (hs [][32]byte) {
	parents := [][32]byte{{}, randomHash(rng), randomHash(rng)}
	last := randomHash(rng)
	for len(hs) < n {
		switch rng.IntN(4) {
		case 0, 1:
			hs = append(hs, flip(rng, parents[rng.IntN(len(parents))], rng.IntN(40)))
		case 2:
			last = flip(rng, last, 18+rng.IntN(12))
			hs = append(hs, last)
		default:
			hs = append(hs, randomHash(rng))
		}
	}
	return hs
}

func TestSearchFindsExactlyWhatBruteForceFinds(t *testing.T) {
	eachKernel(t, func(t *testing.T, kernel string) {
		rng := rand.New(rand.NewPCG(1, 2))
		x, m := New(WithKernel(kernel)), model{}
		if x.Kernel() != kernel {
			t.Fatalf("asked for %s, got %s", kernel, x.Kernel())
		}
		hs := cloud(rng, fewer(6000))
		for i, h := range hs {
			mustAdd(t, x, h, uint64(i))
			m.add(h, uint64(i))
		}
		for radius := range 36 {
			for range 8 {
				check(t, x, m, flip(rng, hs[rng.IntN(len(hs))], rng.IntN(32)), radius)
			}
			check(t, x, m, randomHash(rng), radius)
		}
		for _, radius := range []int{-1, 47, 63, 128, 255, 256, 300} {
			check(t, x, m, hs[rng.IntN(len(hs))], radius)
		}
	})
}

// A pair exactly at the radius is the hardest: each way of spreading 31
// differences over the bands has to be found.
func TestEveryPairAtTheRadiusIsFound(t *testing.T) {
	eachKernel(t, func(t *testing.T, kernel string) {
		rng := rand.New(rand.NewPCG(3, 4))
		x := New(WithKernel(kernel))
		var hs [][32]byte
		for i := range fewer(3000) {
			hs = append(hs, randomHash(rng))
			mustAdd(t, x, hs[i], uint64(i))
		}
		for i, h := range hs {
			for _, d := range []int{0, 1, 15, 16, 17, 30, 31} {
				got, _ := x.Search(new(flip(rng, h, d)), d, nil)
				if len(got) == 0 || got[0].Hash != h || got[0].Ref != uint64(i) || got[0].Distance != d {
					t.Fatalf("a hash %d bits away was not found", d)
				}
			}
		}
	})
}

func TestAddAndRemoveInAnyOrder(t *testing.T) {
	eachKernel(t, func(t *testing.T, kernel string) {
		rng := rand.New(rand.NewPCG(5, 6))
		x, m := New(WithKernel(kernel)), model{}
		hs := cloud(rng, 1500)
		for round := range fewer(30_000) {
			h, ref := hs[rng.IntN(len(hs))], uint64(rng.IntN(3))
			if ref == 2 {
				ref = ^uint64(0) - uint64(rng.IntN(3)) // refs that mean something inside
			}
			// Waves: mostly growing, then mostly shrinking.
			if rng.IntN(10) < 3+4*(round/fewer(5000)%2) {
				if got, want := x.Remove(&h, ref), m.remove(h, ref); got != want {
					t.Fatalf("Remove says %v, the pair was there: %v", got, want)
				}
			} else {
				mustAdd(t, x, h, ref)
				m.add(h, ref)
			}
			if x.Len() != m.len() && round%100 == 0 {
				t.Fatalf("Len is %d, want %d", x.Len(), m.len())
			}
			if round%200 == 0 {
				check(t, x, m, flip(rng, h, rng.IntN(32)), 31)
			}
		}
		for h, refs := range m {
			for ref := range refs {
				if !x.Remove(&h, ref) {
					t.Fatal("a listed pair could not be removed")
				}
			}
		}
		if x.Len() != 0 {
			t.Fatalf("%d pairs are left over", x.Len())
		}
		check(t, x, model{}, hs[0], 256)
	})
}

func TestEmptyIndex(t *testing.T) {
	x := New()
	for _, radius := range []int{0, 31, 256} {
		check(t, x, model{}, [32]byte{}, radius)
	}
	if x.Remove(&[32]byte{}, 1) || x.Len() != 0 {
		t.Fatal("an empty index has something to remove")
	}
}

func TestBandsKeepDistanceAndComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 1000 {
		a, b := randomHash(rng), randomHash(rng)
		ra, rb := fromHash(&a), fromHash(&b)
		if ra.hash() != a {
			t.Fatal("a row does not give its hash back")
		}
		if ra.distance(&rb) != hamming(a, b) {
			t.Fatal("rearranging changed a distance")
		}
	}
	for r := range 16 {
		for c := range 16 {
			var h [32]byte
			h[2*r+c/8] = 1 << (c % 8)
			if got := fromHash(&h); got.band((c-r+16)%16) != 1<<r {
				t.Fatalf("row %d column %d is not bit %d of band %d", r, c, r, (c-r+16)%16)
			}
		}
	}
}

// A crowd of just so many postings fills the scratch space of a search to its
// last place, at the end of a band and in the middle of one.
func TestCandidatesFillTheirSpaceExactly(t *testing.T) {
	eachKernel(t, func(t *testing.T, kernel string) {
		rng := rand.New(rand.NewPCG(7, 8))
		target := randomHash(rng)
		want := fromHash(&target)
		x := New(WithKernel(kernel))
		mustAdd(t, x, target, 0)
		for n := 2; n <= outSize+2*unitLanes; n++ {
			r := want
			for r.distance(&want) <= MaxIndexed {
				h := randomHash(rng)
				r = fromHash(&h)
				r[0] = want[0] // four bands in a row
			}
			mustAdd(t, x, r.hash(), uint64(n))
			if n < outSize-2*unitLanes && n%(outSize/4) > 1 {
				continue
			}
			if got, _ := x.Search(&target, MaxIndexed, nil); len(got) != 1 || got[0].Hash != target {
				t.Fatalf("among %d that share its buckets it is found %d times", n, len(got))
			}
		}
	})
}
