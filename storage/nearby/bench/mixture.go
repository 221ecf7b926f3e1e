// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"math/rand/v2"
	"slices"
)

// mixture makes hashes as a shared database has them: 60 % are like those of
// unrelated photos, 20 % copies of few viral images (0 to 20 bits from their
// parent, about 1,000 copies each), 10 % videos (frames 18 to 29 bits apart)
// and 10 % graphics from few templates (a part of the bits varies).
type mixture struct {
	uniform   bool
	seed      uint64
	viral     [][rowSize]byte
	templates []template
}

type template struct {
	hash   [rowSize]byte
	varies []int // bits that differ between graphics made from it
}

const (
	copiesPerParent = 1000
	templateCount   = 64
	framesPerVideo  = 120
)

func newMixture(o DataOptions) *mixture {
	m := &mixture{uniform: o.Kind == "uniform", seed: o.Seed}
	if m.uniform {
		return m
	}
	rng := rand.New(rand.NewPCG(o.Seed, 1<<62))
	for range max(4, o.Entries/5/copiesPerParent) {
		m.viral = append(m.viral, photo(rng))
	}
	for range templateCount {
		m.templates = append(m.templates, template{photo(rng), rng.Perm(256)[:96]})
	}
	return m
}

// chunk makes n rows, the same for the same seed and number.
func (m *mixture) chunk(number uint64, n int) [][rowSize]byte {
	rng := rand.New(rand.NewPCG(m.seed, number))
	rows := make([][rowSize]byte, 0, n)
	for len(rows) < n {
		rows = m.item(rng, rows)
	}
	return rows[:n]
}

// item appends one item: a hash, or the frames of a video.
func (m *mixture) item(rng *rand.Rand, rows [][rowSize]byte) [][rowSize]byte {
	const perVideo = 10.0 / 90 / framesPerVideo // one row in ten is a frame
	switch p := rng.Float64(); {
	case m.uniform:
		return append(rows, uniform(rng))
	case p < perVideo:
		frame := photo(rng)
		for range framesPerVideo {
			rows = append(rows, frame)
			flip(rng, &frame, 18+rng.IntN(12))
		}
		return rows
	case p < 20.0/90:
		h := m.viral[rng.IntN(len(m.viral))]
		flip(rng, &h, rng.IntN(21))
		return append(rows, h)
	case p < 30.0/90:
		t := &m.templates[rng.IntN(len(m.templates))]
		h := t.hash
		for _, bit := range t.varies {
			if rng.Uint32()&1 == 0 {
				h[bit/8] ^= 1 << (bit % 8)
			}
		}
		return append(rows, h)
	default:
		return append(rows, photo(rng))
	}
}

// miss makes a query that is near no entry, but by chance.
func (m *mixture) miss(rng *rand.Rand) [rowSize]byte {
	if m.uniform {
		return uniform(rng)
	}
	return photo(rng)
}

func uniform(rng *rand.Rand) (h [rowSize]byte) {
	for i := 0; i < rowSize; i += 8 {
		w := rng.Uint64()
		for k := range 8 {
			h[i+k] = byte(w >> (8 * k))
		}
	}
	return h
}

// photo makes a hash like that of an unrelated photo: PDQ compares 256
// frequencies with their median, so that exactly 128 bits are set, and
// neighbouring frequencies are correlated.
func photo(rng *rand.Rand) (h [rowSize]byte) {
	var noise, level [256]int32
	for i := 0; i < len(noise); i += 4 {
		w := rng.Uint64()
		for k := range 4 {
			noise[i+k] = int32(w>>(16*k)) & 0xffff
		}
	}
	for i := range level {
		level[i] = (4*noise[i]+noise[(i+1)%256])<<8 | int32(i) // no two are equal
	}
	sorted := level
	slices.Sort(sorted[:])
	for i, l := range level {
		if l > sorted[127] {
			h[i/8] |= 1 << (i % 8)
		}
	}
	return h
}

// flip changes exactly n bits.
func flip(rng *rand.Rand, h *[rowSize]byte, n int) {
	var done [rowSize]byte
	for n > 0 {
		i := rng.IntN(256)
		if bit := byte(1) << (i % 8); done[i/8]&bit == 0 {
			done[i/8] |= bit
			h[i/8] ^= bit
			n--
		}
	}
}
