// SPDX-License-Identifier: Apache-2.0

package pdq

import (
	"math/bits"
	"sync"
)

// side is the side of the shrunk image.
const side = 64

// A workspace holds the buffers of one computation.
type workspace struct {
	lines  []float32 // a strip of luminance, or of the first pass along columns
	ring   []float32 // the rows that the window along columns can see
	sum    []float32 // of the first pass along columns
	zero   []float32 // a row of nothing
	wide   []float32 // for kernels: a strip, or what else they need
	thin   []float32 // the 64 columns of a strip after the second pass along rows
	lanes  []float32 // strips turned on their side, for kernels that do so
	narrow ring64
	small  [side*side + lane]float32 // the shrunk image; the rest is zero
	half   [16][side]float32
}

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

func grow(b *[]float32, n int) []float32 {
	if cap(*b) < n {
		*b = make([]float32, n)
	}
	return (*b)[:n]
}

// A shrinker runs one image through the four filter passes as a stream, a strip
// of rows at a time, so that all it touches stays in the nearest cache:
// luminance, pass along rows, pass along columns, pass along rows at the 64
// places that count, pass along columns at the 64 places that count.
type shrinker struct {
	k            *Kernel
	s            *workspace
	across, down box
	n            int // row length with padding
	ringRows     int // a power of two, so that a strip never straddles the end
	pending      int // rows of the second strip so far
	done         int // rows that went through the third pass
}

// shrink fills s.small with the image after two passes of the box filter along
// rows and columns.
func (k *Kernel) shrink(s *workspace, src rows, w, h int) {
	if w == side && h == side {
		for y := range side {
			src.luma(s.small[y*side:][:side], y)
		}
		return
	}
	p := shrinker{k: k, s: s, across: newBox(w), down: newBox(h), n: padded(w)}
	p.ringRows = ceil2(k.strip + p.down.win)
	first, second := p.allocate()
	for y := 0; y < h; y += k.strip {
		rows := min(k.strip, h-y)
		for i := range rows {
			src.luma(first[i*p.n:][:w], y+i)
		}
		k.across(s, p.across, p.ringRow(y, k.strip), first, p.n)
		for i := range rows {
			p.column(y+i, second)
		}
	}
	for t := h; t < p.down.steps(); t++ {
		p.column(t, second)
	}
	if p.pending > 0 {
		p.flush(second)
	}
	for t := h; t < p.down.steps(); t++ {
		p.narrowColumn(t)
	}
}

// padded is the length of a row of w samples: whole vectors, and never a large
// power of two, which would send a column of samples to the same few places of
// the cache.
func padded(w int) int {
	n := (w + lane - 1) / lane * lane
	if n%64 == 0 {
		n += lane
	}
	return n
}

// ceil2 is the least power of two that is n or more.
func ceil2(n int) int { return 1 << bits.Len(uint(n-1)) }

func (p *shrinker) allocate() (first, second []float32) {
	strip := p.k.strip * p.n
	both := grow(&p.s.lines, 2*strip)
	p.s.ring = grow(&p.s.ring, p.ringRows*p.n)
	p.s.sum, p.s.zero = grow(&p.s.sum, p.n), grow(&p.s.zero, p.n)
	clear(p.s.sum)
	p.s.narrow.reset(p.down.win)
	return both[:strip], both[strip:]
}

// ringRow returns count rows from row y on.
func (p *shrinker) ringRow(y, count int) []float32 {
	return p.s.ring[y&(p.ringRows-1)*p.n:][:count*p.n]
}

// column makes step t of the first pass along columns.
func (p *shrinker) column(t int, strip []float32) {
	in, out := p.s.zero[:p.n], p.s.zero[:p.n]
	if t < p.down.n {
		in = p.ringRow(t, 1)
	}
	if t >= p.down.win {
		out = p.ringRow(t-p.down.win, 1)
	}
	p.k.slide(p.s.sum, in, out, strip[p.pending*p.n:][:p.n], p.down.count(t))
	if t < p.down.half-1 {
		return
	}
	if p.pending++; p.pending == p.k.strip {
		p.flush(strip)
	}
}

// flush makes the second passes for the rows that are waiting.
func (p *shrinker) flush(strip []float32) {
	thin := grow(&p.s.thin, p.k.strip*side)
	p.k.sampled(p.s, p.across, thin, strip, p.n)
	for i := range p.pending {
		copy(p.s.narrow.row(p.done), thin[i*side:])
		p.narrowColumn(p.done)
		p.done++
	}
	p.pending = 0
}
