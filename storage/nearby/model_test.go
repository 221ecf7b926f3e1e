// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// model is what an Index must answer like: a list that is searched by
// comparing everything.
type model map[[32]byte]map[uint64]bool

func (m model) add(h [32]byte, ref uint64) {
	if m[h] == nil {
		m[h] = map[uint64]bool{}
	}
	m[h][ref] = true
}

func (m model) remove(h [32]byte, ref uint64) bool {
	there := m[h][ref]
	if delete(m[h], ref); len(m[h]) == 0 {
		delete(m, h)
	}
	return there
}

func (m model) search(q [32]byte, radius int) (ms []Match) {
	for h, refs := range m {
		if d := hamming(q, h); d <= radius {
			for r := range refs {
				ms = append(ms, Match{h, r, d})
			}
		}
	}
	slices.SortFunc(ms, Match.Compare)
	return ms
}

func (m model) len() (n int) {
	for _, refs := range m {
		n += len(refs)
	}
	return n
}

func hamming(a, b [32]byte) (d int) {
	for i := range a {
		d += bits.OnesCount8(a[i] ^ b[i])
	}
	return d
}

func randomHash(rng *rand.Rand) (h [32]byte) {
	for i := range h {
		h[i] = byte(rng.Uint32())
	}
	return h
}

// flip changes exactly n bits.
func flip(rng *rand.Rand, h [32]byte, n int) [32]byte {
	for _, i := range rng.Perm(256)[:n] {
		h[i/8] ^= 1 << (i % 8)
	}
	return h
}

// eachKernel runs test with every kernel of this machine.
func eachKernel(t *testing.T, test func(t *testing.T, kernel string)) {
	for _, k := range Kernels() {
		t.Run(k, func(t *testing.T) { test(t, k) })
	}
}

func check(t *testing.T, x *Index, m model, q [32]byte, radius int) {
	t.Helper()
	got, truncated := x.Search(&q, radius, nil)
	if want := m.search(q, radius); truncated || !slices.Equal(got, want) {
		t.Fatalf("radius %d: %d matches, truncated %v; brute force has %d", radius, len(got), truncated, len(want))
	}
}

func mustAdd(t *testing.T, x *Index, h [32]byte, ref uint64) {
	t.Helper()
	if err := x.Add(&h, ref); err != nil {
		t.Fatal(err)
	}
}

func withRowCap(n uint32) Option { return func(s *settings) { s.rowCap = n } }

// withLimboStep has memory used again after n things were taken out, if no
// reader can be reading it.
func withLimboStep(n int) Option { return func(s *settings) { s.limboStep = n } }

// withOrderFrom has a load order the rows of segments with so many.
func withOrderFrom(n int) Option { return func(s *settings) { s.orderFrom = n } }

func withLeastBits(n uint) Option { return func(s *settings) { s.leastBits = n } }

// fewer makes a test a tenth as long under the race detector.
func fewer(n int) int {
	if raceEnabled {
		return n / 10
	}
	return n
}
