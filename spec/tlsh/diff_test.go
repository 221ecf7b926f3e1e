// SPDX-License-Identifier: Apache-2.0

package tlsh

import (
	"math/rand/v2"
	"testing"
)

func randomHash(r *rand.Rand) (h Hash) {
	for i := range h {
		h[i] = byte(r.Uint32())
	}
	return h
}

// slowDiff follows the paper's wording, one bucket at a time.
func slowDiff(a, b Hash, withLength bool) int {
	mod := func(x, y byte, n int) int {
		d := (int(x) - int(y) + n) % n
		return min(d, n-d)
	}
	total := 0
	if d := mod(a[1]<<4|a[1]>>4, b[1]<<4|b[1]>>4, 256); withLength && d <= 1 {
		total += d
	} else if withLength {
		total += 12 * d
	}
	for _, shift := range []int{0, 4} {
		if d := mod(a[2]>>shift&15, b[2]>>shift&15, 16); d <= 1 {
			total += d
		} else {
			total += 12 * (d - 1)
		}
	}
	if a[0] != b[0] {
		total++
	}
	for i := 3; i < Size; i++ {
		for shift := 0; shift < 8; shift += 2 {
			d := int(a[i]>>shift&3) - int(b[i]>>shift&3)
			total += []int{6, 2, 1, 0, 1, 2, 6}[d+3]
		}
	}
	return total
}

func TestDiffIsTheSumOverBuckets(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 20000 {
		a, b := randomHash(r), randomHash(r)
		if got, want := a.Diff(b), slowDiff(a, b, true); got != want || b.Diff(a) != want {
			t.Fatalf("Diff(%v, %v) = %d and %d, want %d", a, b, got, b.Diff(a), want)
		}
		if got, want := a.DiffXLen(b), slowDiff(a, b, false); got != want || b.DiffXLen(a) != want || got > MaxDiffXLen {
			t.Fatalf("DiffXLen(%v, %v) = %d and %d, want %d", a, b, got, b.DiffXLen(a), want)
		}
		if a.Diff(a) != 0 || a.DiffXLen(a) != 0 {
			t.Fatalf("%v is apart from itself", a)
		}
	}
}

func TestMaxDiffXLenIsReached(t *testing.T) {
	a, b := Hash{0: 1, 2: 0x88}, Hash{}
	for i := 3; i < Size; i++ {
		a[i] = 0xff
	}
	if got := a.DiffXLen(b); got != MaxDiffXLen {
		t.Fatalf("%d, want %d", got, MaxDiffXLen)
	}
}

func TestMatchUpToTheThreshold(t *testing.T) {
	at30 := Hash{3: 0xaa, 4: 0xaa, 5: 0xaa, 6: 0x2a} // 15 buckets apart by 2
	at31 := at30
	at31[0] = 1 // and another checksum
	if d := at30.DiffXLen(Hash{}); d != Threshold || !at30.Match(Hash{}) {
		t.Errorf("at %d: no match", d)
	}
	if d := at31.DiffXLen(Hash{}); d != Threshold+1 || at31.Match(Hash{}) {
		t.Errorf("at %d: a match", d)
	}
}

var sink int

func BenchmarkDiffXLen(b *testing.B) {
	r := rand.New(rand.NewPCG(4, 4))
	x, y := randomHash(r), randomHash(r)
	for b.Loop() {
		sink += DiffXLen(&x, &y)
	}
}
