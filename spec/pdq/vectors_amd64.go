// SPDX-License-Identifier: Apache-2.0

package pdq

// vectors are the loops of a kernel in assembly. It filters rows by turning a
// strip of them on its side, so that one register holds one column of many
// rows, and works on 64 columns at a time, which stay in the nearest cache.
type vectors struct {
	unit int // side of the squares that turn exchanges
	// turn exchanges rows and columns of squares of unit by unit. Strides are
	// between rows of a square, steps between squares; all are in bytes.
	turn func(dst, src *float32, dstStride, srcStride, dstStep, srcStep, blocks int)
	// run32 and run64 make steps of the filter on rows of 32 and 64 samples:
	// sum takes in and gives out, and dst is sum/c. Strides are in bytes. inv
	// is the reciprocal of c, or 0.
	run32, run64 runFunc
}

type runFunc func(dst, in, out, sum *float32, dstStride, stride, steps int, c, inv float32)

const (
	strip = 32 // rows that lie side by side
	chunk = 64 // columns that are turned and filtered together
)

// A pass runs a box filter over rows of width samples that come in order. Its
// results stay where they arise: what the box calls output o stands at place
// o+half-1, and a second pass starts as much later.
type pass struct {
	box
	run    runFunc
	late   int       // the place of the first row
	rows   []float32 // a ring
	mask   int
	stride int // of rows, in values
	width  int
	sum    []float32
	none   []float32
}

// end is the place after the last output.
func (p *pass) end() int { return p.late + p.steps() }

// advance makes the steps at the places from to to-1 for the columns from x on
// and writes what they give to dst, in rows of width.
func (p *pass) advance(dst []float32, x, from, to int) {
	from, first := max(from, p.late), from
	for to = min(to, p.end()); from < to; {
		n := p.stretch(from, to)
		t := from - p.late
		in, out := &p.none[0], &p.none[0]
		if t < p.n {
			in = &p.rows[from&p.mask*p.stride+x]
		}
		if t >= p.win {
			out = &p.rows[(from-p.win)&p.mask*p.stride+x]
		}
		c := p.count(t)
		p.run(&dst[(from-first)*p.width], in, out, &p.sum[x], 4*p.width, 4*p.stride, n, float32(c), reciprocal(c))
		from += n
	}
}

// stretch is how many steps from a place on are alike: one at the edges, and
// inside as many as lie in the ring without a break.
func (p *pass) stretch(from, to int) int {
	t := from - p.late
	if t < p.win || t >= p.n {
		return 1
	}
	ring := p.mask + 1
	return min(to-from, p.n-t, ring-from&p.mask, ring-(from-p.win)&p.mask)
}

// A pipeline shrinks one image, a strip of rows at a time.
type pipeline struct {
	*vectors
	k      *Kernel
	s      *workspace
	src    rows
	w, h   int
	length int // of a row of the ring that holds samples

	along, along2 pass      // over columns, as lanes
	down, down2   pass      // over rows
	lines         []float32 // a strip of luminance
	tile, turned  []float32 // a chunk of a strip as rows and as lanes
	columns       [side * strip]float32
	next          int // the sample row that comes next
}

func (v *vectors) shrink(k *Kernel, s *workspace, src rows, w, h int) {
	p := pipeline{vectors: v, k: k, s: s, src: src, w: w, h: h}
	p.allocate()
	for y := 0; y < p.down2.end(); y += strip {
		if y < h {
			p.firstRows(y)
		}
		if y < p.down.end() {
			p.secondRows(y)
		}
		p.sampleRows(y)
	}
}

func (p *pipeline) allocate() {
	x, y, s := newBox(p.w), newBox(p.h), p.s
	p.length = (p.w + x.half - 1 + chunk - 1) / chunk * chunk
	stride := p.length + lane // a power of two would crowd one part of the cache
	none := s.cleared(0, chunk)
	sums := s.cleared(1, 2*strip+p.length+side)
	p.lines, p.tile, p.turned = s.take(2, strip*stride), s.take(3, chunk*strip), s.take(4, chunk*strip)

	ring := ceil2(chunk + x.win)
	p.along = pass{box: x, run: p.run32, rows: s.take(5, ring*strip), mask: ring - 1, stride: strip, width: strip, sum: sums[:strip], none: none}
	p.along2 = p.along
	p.along2.late, p.along2.sum = x.half-1, sums[strip:]

	ring = ceil2(strip + y.win)
	p.down = pass{box: y, run: p.run64, rows: s.take(6, ring*stride), mask: ring - 1, stride: stride, width: chunk, sum: sums[2*strip:], none: none}
	p.down2 = pass{box: y, run: p.run64, rows: s.take(7, ring*side), mask: ring - 1, stride: side, width: side, sum: sums[2*strip+p.length:], none: none}
	p.down2.late = y.half - 1
}

// firstRows takes the rows from y on through the first pass along x.
func (p *pipeline) firstRows(y int) {
	stride := p.down.stride
	for r := range min(strip, p.h-y) {
		p.src.luma(p.lines[r*stride:][:p.w], y+r)
	}
	clear(p.along.sum[:strip])
	to := p.down.rows[y&p.down.mask*stride:]
	for x := 0; x < p.length; x += chunk {
		p.toLanes(&p.along, x, p.lines[x:], stride)
		p.along.advance(p.turned, 0, x, x+chunk)
		p.toRows(to[x:], stride, p.turned)
	}
}

// secondRows takes a strip from y on through the first pass along y and the
// second along x.
func (p *pipeline) secondRows(y int) {
	clear(p.along2.sum[:strip])
	i := 0
	for x := 0; x < p.along2.end(); x += chunk {
		if x < p.length {
			p.down.advance(p.tile, x, y, y+strip)
			p.toLanes(&p.along2, x, p.tile, chunk)
		}
		p.along2.advance(p.turned, 0, x, x+chunk)
		for ; i < side && p.along2.sampled(i) < x+chunk; i++ {
			copy(p.columns[i*strip:][:strip], p.turned[(p.along2.sampled(i)-x)*strip:])
		}
	}
	p.toRows(p.down2.rows[y&p.down2.mask*side:], side, p.columns[:])
}

// sampleRows takes a strip from y on through the second pass along y.
func (p *pipeline) sampleRows(y int) {
	p.down2.advance(p.tile, 0, y, y+strip)
	for ; p.next < side && p.down2.sampled(p.next) < y+strip; p.next++ {
		copy(p.s.small[p.next*side:][:side], p.tile[(p.down2.sampled(p.next)-y)*side:])
	}
}

// sampled is the place of sample i of the shrunk image among the outputs.
func (p *pass) sampled(i int) int { return sample(i, p.n) + p.late + p.half - 1 }

// toLanes turns a chunk of strip rows, stride values apart, on its side: to the
// places from x on.
func (v *vectors) toLanes(p *pass, x int, src []float32, stride int) {
	dst := p.rows[x&p.mask*strip:][:chunk*strip]
	for r := 0; r < strip; r += v.unit {
		v.turn(&dst[r], &src[r*stride], 4*strip, 4*stride, 4*strip*v.unit, 4*v.unit, chunk/v.unit)
	}
}

// toRows turns a chunk of lanes back into rows, stride values apart.
func (v *vectors) toRows(dst []float32, stride int, src []float32) {
	for r := 0; r < strip; r += v.unit {
		v.turn(&dst[r*stride], &src[r], 4*stride, 4*strip, 4*v.unit, 4*strip*v.unit, chunk/v.unit)
	}
}

// total adds what the lanes of a register hold.
func total(sums []int32) int {
	n := 0
	for _, s := range sums {
		n += int(s)
	}
	return n
}
