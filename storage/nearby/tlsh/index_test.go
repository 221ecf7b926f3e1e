// SPDX-License-Identifier: Apache-2.0

package tlsh

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	spec "github.com/tocsin-db/tocsin/spec/tlsh"
)

func random(rng *rand.Rand) (h spec.Hash) {
	for i := range h {
		h[i] = byte(rng.Uint32())
	}
	return h
}

// edit moves some quartiles by one, two or three steps, and sometimes the
// checksum or a ratio, as an edited text does.
func edit(rng *rand.Rand, h spec.Hash, n int) spec.Hash {
	for range n {
		i, shift := headSize+rng.IntN(32), 2*rng.IntN(4)
		h[i] = h[i]&^(3<<shift) | byte(rng.IntN(4))<<shift
	}
	switch rng.IntN(4) {
	case 0:
		h[0]++
	case 1:
		h[2] += 0x10
	}
	return h
}

func bruteForce(listed map[Match]bool, q *spec.Hash, distance int) (ms []Match) {
	for m := range listed {
		if d := spec.DiffXLen(q, &m.Hash); d <= distance {
			ms = append(ms, Match{m.Hash, m.Ref, d})
		}
	}
	slices.SortFunc(ms, Match.Compare)
	return ms
}

func TestSearchFindsWhatBruteForceFinds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	x, listed := New(), map[Match]bool{}
	var hs []spec.Hash
	for i := range 4000 {
		h := random(rng)
		if i > 0 && i%2 == 0 {
			h = edit(rng, hs[rng.IntN(len(hs))], rng.IntN(20))
		}
		hs = append(hs, h)
		ref := uint64(rng.IntN(3)) * (MaxRef / 2)
		if err := x.Add(&h, ref); err != nil {
			t.Fatal(err)
		}
		listed[Match{Hash: h, Ref: ref}] = true
		if i%5 == 0 {
			old := Match{Hash: hs[rng.IntN(len(hs))], Ref: 0}
			if x.Remove(&old.Hash, 0) != listed[old] {
				t.Fatal("Remove disagrees about what is listed")
			}
			delete(listed, old)
		}
	}
	if x.Len() != len(listed) {
		t.Fatalf("Len is %d, want %d", x.Len(), len(listed))
	}
	found := 0
	for _, distance := range []int{0, 1, 7, 15, 30, 31, 32, 60, spec.MaxDiffXLen} {
		for range 40 {
			q := edit(rng, hs[rng.IntN(len(hs))], rng.IntN(25))
			got, truncated := x.Search(&q, distance, nil)
			if want := bruteForce(listed, &q, distance); truncated || !slices.Equal(got, want) {
				t.Fatalf("distance %d: %d matches, brute force has %d", distance, len(got), len(want))
			}
			found += len(got)
		}
	}
	if found < 1000 {
		t.Fatalf("only %d matches: the test says little", found)
	}
}

func TestGrayCodeNeverDiffersInMoreThanTheDistance(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 20_000 {
		a := random(rng)
		b := edit(rng, a, rng.IntN(60))
		bodyA, headA := split(&a)
		bodyB, _ := split(&b)
		if join(&bodyA, headA|7) != a {
			t.Fatal("a hash does not come back")
		}
		bits := 0
		for i := range bodyA {
			for x := bodyA[i] ^ bodyB[i]; x != 0; x &= x - 1 {
				bits++
			}
		}
		if d := spec.DiffXLen(&a, &b); bits > d {
			t.Fatalf("%d bits differ at distance %d", bits, d)
		}
	}
}

func TestLargeRefsAreRefused(t *testing.T) {
	x := New()
	if err := x.Add(&spec.Hash{}, MaxRef+1); !errors.Is(err, ErrRef) || x.Len() != 0 {
		t.Fatal("a ref that does not fit was taken:", err)
	}
	if err := x.Add(&spec.Hash{}, MaxRef); err != nil || x.Remove(&spec.Hash{}, MaxRef+1) || !x.Remove(&spec.Hash{}, MaxRef) {
		t.Fatal("the largest ref does not work:", err)
	}
}
