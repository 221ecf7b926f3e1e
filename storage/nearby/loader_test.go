// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"math/rand/v2"
	"testing"
)

func TestLoadedIndexAnswersAndGoesOn(t *testing.T) {
	for _, c := range []struct {
		name         string
		hashes, hint int
		rowCap       uint32
	}{
		{"nothing", 0, 0, 1 << 14},
		{"one", 1, 0, 1 << 14},
		{"without hint", fewer(9000), 0, 1 << 14},
		{"with hint", fewer(9000), 9000, 1 << 14},
		{"several segments", 9000, 20, 1 << 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(11, 12))
			x, m := New(withRowCap(c.rowCap)), model{}
			l := x.Loader(c.hint)
			hs := cloud(rng, c.hashes+1)
			for i := range c.hashes {
				h, ref := hs[rng.IntN(i+1)], uint64(rng.IntN(3))
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
