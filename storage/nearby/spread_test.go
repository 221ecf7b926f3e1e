// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// differ returns a row that differs from r in exactly so many bits of each
// band.
func differ(rng *rand.Rand, r row, bits [bandCount]int) row {
	for b, n := range bits {
		for _, bit := range rng.Perm(bandBits)[:n] {
			r[b>>2] ^= 1 << (b&3*bandBits + bit)
		}
	}
	return r
}

type spread struct {
	q, near [32]byte
	radius  int
}

// tightest returns pairs in which each band has its share of differences but
// one, which has one less: then a search finds the pair through that band
// alone, and only if it allows every difference that the plan says. The same
// with differences moved from that band to the next.
func tightest(rng *rand.Rand) (ss []spread) {
	for radius := range MaxIndexed + 1 {
		for b := range bandCount {
			var bits [bandCount]int
			for i := range bits {
				bits[i] = plans[radius][i].share
			}
			for bits[b]--; bits[b] >= 0; bits[b]-- {
				q := randomHash(rng)
				ss = append(ss, spread{q, differ(rng, fromHash(&q), bits).hash(), radius})
				bits[(b+1)%bandCount]++
			}
		}
	}
	return ss
}

func TestTightestSpreadsOfDifferencesAreFound(t *testing.T) {
	eachKernel(t, func(t *testing.T, kernel string) {
		for name, prepare := range map[string]func(d *directory){
			"homes":   func(*directory) {},
			"headers": func(d *directory) { d.homes = [bandCount]uint32{} },
		} {
			ss := tightest(rand.New(rand.NewPCG(61, 62)))
			// Many buckets, so that almost every block is of one value only.
			x := New(WithKernel(kernel), withLeastBits(12))
			l := x.Loader(0)
			for i := range ss {
				if err := l.Add(&ss[i].near, uint64(i)); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Finish(nil); err != nil {
				t.Fatal(err)
			}
			prepare((*x.segments.Load())[0].directory.Load())
			for i, s := range ss {
				if d := hamming(s.q, s.near); d != s.radius {
					t.Fatalf("%d bits differ, want %d", d, s.radius)
				}
				got, _ := x.Search(&s.q, s.radius, nil)
				if !slices.Equal(got, []Match{{s.near, uint64(i), s.radius}}) {
					t.Fatalf("%s: a spread of %d differences is not found", name, s.radius)
				}
			}
		}
	})
}
