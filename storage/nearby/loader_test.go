// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

func TestLoadedIndexAnswersAndGoesOn(t *testing.T) {
	for _, c := range []struct {
		name         string
		hashes, hint int
		rowCap       uint32
		orderFrom    int
		highest      uint64
	}{
		{"nothing", 0, 0, 1 << 14, 0, 2},
		{"one", 1, 0, 1 << 14, 0, 2},
		{"without hint", fewer(9000), 0, 1 << 14, orderFrom, 2},
		{"with hint", fewer(9000), 9000, 1 << 14, 0, 2},
		{"long refs", fewer(9000), 9000, 1 << 14, 0, 1 << 60},
		{"several segments", 9000, 20, 1 << 12, 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(11, 12))
			x, m := New(withRowCap(c.rowCap), withOrderFrom(c.orderFrom)), model{}
			l := x.Loader(c.hint)
			hs := cloud(rng, c.hashes+1)
			for i := range c.hashes {
				h, ref := hs[rng.IntN(i+1)], c.highest/2*uint64(rng.IntN(3))
				m.add(h, ref)
				if err := l.Add(&h, ref); err != nil {
					t.Fatal(err)
				}
			}
			last := 0.0
			err := l.Finish(func(done float64) {
				if done < last || done > 1 {
					t.Errorf("progress went from %v to %v", last, done)
				}
				last = done
			})
			if err != nil || x.Len() != m.len() || (c.hashes > 0 && last != 1) {
				t.Fatalf("%v, %d of %d pairs, progress %v", err, x.Len(), m.len(), last)
			}
			checkInvariants(t, x)
			for range 60 {
				check(t, x, m, flip(rng, hs[rng.IntN(len(hs))], rng.IntN(32)), 31)
			}
			check(t, x, m, hs[0], 200)
			for i, h := range hs {
				if i%3 == 0 {
					m.add(h, 7)
					mustAdd(t, x, h, 7)
				} else if got, want := x.Remove(&h, 1), m.remove(h, 1); got != want {
					t.Fatalf("Remove says %v, the pair was there: %v", got, want)
				}
			}
			checkInvariants(t, x)
			for range 60 {
				check(t, x, m, flip(rng, hs[rng.IntN(len(hs))], rng.IntN(32)), 31)
			}
		})
	}
}

func TestLoadRefusesWhatItCannotKeep(t *testing.T) {
	x := New()
	l := x.Loader(0)
	mustAdd(t, x, [32]byte{1}, 1)
	if err := l.Add(&[32]byte{2}, 2); err != nil {
		t.Fatal(err)
	}
	if err := l.Finish(nil); err == nil {
		t.Fatal("a load into an index with hashes would lose them")
	}
	if err := l.Add(&[32]byte{2}, 2); err == nil {
		t.Fatal("a finished load takes another hash")
	}
	check(t, x, model{{1}: {1: true}}, [32]byte{1}, 31)
}

// Hashes that are known to be distinct are taken by many goroutines at a time.
func TestDistinctHashesAreTakenInParallel(t *testing.T) {
	for _, c := range []struct {
		name   string
		rowCap uint32
		hashes int
	}{{"one segment", 1 << 14, fewer(9000)}, {"several segments", 1 << 12, 9000}} {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(17, 18))
			m, all := model{}, [][32]byte{}
			for _, h := range cloud(rng, c.hashes) {
				if m[h] == nil {
					all = append(all, h)
				}
				m.add(h, 5)
			}
			x := New(withRowCap(c.rowCap), withOrderFrom(0))
			l := x.Loader(0)
			var wg sync.WaitGroup
			for part := range slices.Chunk(all, 700) {
				wg.Go(func() {
					if err := l.AddDistinct(part, 5); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if err := l.Finish(nil); err != nil || x.Len() != len(all) {
				t.Fatalf("%v, %d of %d hashes", err, x.Len(), len(all))
			}
			if err := l.AddDistinct(all[:1], 5); err == nil {
				t.Error("a finished load takes another hash")
			}
			checkInvariants(t, x)
			for range 60 {
				check(t, x, m, flip(rng, all[rng.IntN(len(all))], rng.IntN(32)), 31)
			}
		})
	}
}

// Rows of hashes that share crowded buckets lie side by side after a load.
func TestLoadedCrowdsLieTogether(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	parent := randomHash(rng)
	x := New(withRowCap(1<<15), withOrderFrom(0), withLeastBits(12))
	l := x.Loader(0)
	copies := map[[32]byte]bool{}
	for range 6000 {
		h := randomHash(rng)
		if rng.IntN(10) == 0 {
			h = flip(rng, parent, 8)
			copies[h] = true
		}
		if err := l.Add(&h, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Finish(nil); err != nil {
		t.Fatal(err)
	}
	s := (*x.segments.Load())[0]
	together := 0
	for id := uint32(1); id < s.rowTop.Load(); id++ {
		before, this := s.loadRow(id-1), s.loadRow(id)
		if copies[before.hash()] && copies[this.hash()] {
			together++
		}
	}
	if together < len(copies)*8/10 {
		t.Fatalf("%d of %d copies have a copy before them", together, len(copies))
	}
	checkInvariants(t, x)
}
