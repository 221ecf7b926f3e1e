// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"math/rand/v2"
	"testing"
)

// crowd returns hashes that share the buckets of target in every way a filter
// can be fooled by (two neighbouring bands agree) and are far from it.
func crowd(rng *rand.Rand, target [32]byte, n int) (hs [][32]byte) {
	want := fromHash(&target)
	for range n {
		h := randomHash(rng)
		r := fromHash(&h)
		w := rng.IntN(4)
		r[w] = want[w] // four bands in a row
		hs = append(hs, r.hash())
	}
	return hs
}

func TestLimitsCutCrowdedBucketsAndSaySo(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	target := randomHash(rng)
	n := fewer(40_000)
	const homes = bandCount * (1 + 12) * unitLanes // postings in the homes that a query looks into
	for name, c := range map[string]struct {
		limits Limits
		loaded bool
		cut    bool
		most   int
	}{
		"no limits":              {Limits{}, false, false, n},
		"candidates":             {Limits{Candidates: 1000}, false, true, 1000},
		"scanned":                {Limits{Scanned: n / 4}, false, true, n},
		"roomy":                  {Limits{Scanned: 100 * n, Candidates: 100 * n, Matches: 100 * n}, false, false, n},
		"loaded, no limits":      {Limits{}, true, false, n},
		"loaded, candidates":     {Limits{Candidates: 1000}, true, true, 1000},
		"loaded, half the homes": {Limits{Scanned: homes / 2}, true, true, n},
		"loaded, only homes":     {Limits{Scanned: homes}, true, true, n},
		"loaded, roomy":          {Limits{Scanned: 100 * n, Candidates: 100 * n, Matches: 100 * n}, true, false, n},
	} {
		t.Run(name, func(t *testing.T) {
			x := New(WithLimits(c.limits), withLeastBits(12))
			l := x.Loader(n + 1)
			add := func(h [32]byte, ref uint64) {
				if !c.loaded {
					mustAdd(t, x, h, ref)
				} else if err := l.Add(&h, ref); err != nil {
					t.Fatal(err)
				}
			}
			for i, h := range crowd(rng, target, n) {
				add(h, uint64(i))
			}
			add(target, 1<<40)
			if c.loaded {
				if err := l.Finish(nil); err != nil {
					t.Fatal(err)
				}
			}
			ms, cut := x.Search(&target, 31, nil)
			if cut != c.cut || len(ms) > c.most {
				t.Fatalf("truncated %v with %d matches, want %v", cut, len(ms), c.cut)
			}
			if !cut && (len(ms) == 0 || ms[0].Ref != 1<<40) {
				t.Fatal("a complete answer lacks the target")
			}
			if got, cut := x.Search(new(randomHash(rng)), 31, nil); cut && c.limits.Candidates > 0 {
				t.Fatalf("a query elsewhere is truncated too, with %d matches", len(got))
			}
		})
	}
}

func TestMatchesAreLimited(t *testing.T) {
	rng := rand.New(rand.NewPCG(43, 44))
	h := randomHash(rng)
	for name, add := range map[string]func(x *Index, i int){
		"one hash, many refs": func(x *Index, i int) { mustAdd(t, x, h, uint64(i)) },
		"many near hashes":    func(x *Index, i int) { mustAdd(t, x, flip(rng, h, 1+i%15), uint64(i)) },
	} {
		x := New(WithLimits(Limits{Matches: 100}))
		for i := range 100 {
			add(x, i)
		}
		if ms, cut := x.Search(&h, 31, nil); len(ms) != 100 || cut {
			t.Fatalf("%s: %d matches of 100, truncated %v", name, len(ms), cut)
		}
		before := make([]Match, 3)
		add(x, 100)
		if ms, cut := x.Search(&h, 31, before); len(ms) != 103 || !cut {
			t.Fatalf("%s: %d matches of 101, truncated %v", name, len(ms)-3, cut)
		}
		if ms, cut := x.Search(&h, 200, nil); len(ms) != 100 || !cut {
			t.Fatalf("%s by comparing all: %d matches of 101, truncated %v", name, len(ms), cut)
		}
	}
}

// A hundred thousand refs of one hash must neither crowd a bucket nor make
// adding and removing slow.
func TestOneHashWithVeryManyRefs(t *testing.T) {
	x := New()
	h := randomHash(rand.New(rand.NewPCG(45, 46)))
	n := fewer(100_000)
	for i := range n {
		mustAdd(t, x, h, uint64(i))
	}
	for i := 0; i < n; i += 2 {
		if !x.Remove(&h, uint64(i)) || x.Remove(&h, uint64(i)) {
			t.Fatal("a ref must be removed once")
		}
	}
	ms, _ := x.Search(&h, 31, nil)
	if len(ms) != n/2 || x.Len() != n/2 {
		t.Fatalf("%d matches, Len %d, want %d", len(ms), x.Len(), n/2)
	}
	for i, m := range ms {
		if m.Ref != uint64(2*i+1) {
			t.Fatal("refs are missing or out of order")
		}
	}
}

// Memory that hashes left is used again: an index in which hashes come and go
// does not grow.
func TestMemoryIsUsedAgain(t *testing.T) {
	rng := rand.New(rand.NewPCG(47, 48))
	x := New()
	var hs [][32]byte
	for i := range 5000 {
		hs = append(hs, randomHash(rng))
		mustAdd(t, x, hs[i], 1)
	}
	first := 0
	for round := range 12 {
		for i := range hs {
			x.Remove(&hs[i], 1)
			hs[i] = randomHash(rng)
			mustAdd(t, x, hs[i], 1)
		}
		if round == 1 {
			first = x.Memory()
		}
	}
	checkInvariants(t, x)
	if last := x.Memory(); last > first+first/4 {
		t.Fatalf("memory went from %d to %d bytes with as many hashes", first, last)
	}
}
