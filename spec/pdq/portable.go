// SPDX-License-Identifier: Apache-2.0

package pdq

// portable is the kernel in Go. Conversions to float32 around products keep
// compilers from fusing them with the additions that follow.
var portable = Kernel{
	name: "go", shrink: shrinkGo, gradients: gradientsGo, dct: dctGo, rgb: rgbGo, rgba: rgbaGo,
}

// stripGo is how many rows are filtered side by side, so that the processor
// need not wait for the last sum of one row.
const stripGo = 4

// shrinkGo makes the four passes as a stream of rows. Of the second passes only
// the 64 rows and columns that count are kept.
func shrinkGo(_ *Kernel, s *workspace, src rows, w, h int) {
	p := streamGo{s: s, src: src, across: newBox(w), down: newBox(h)}
	p.lines, p.filtered, p.strip, p.done = s.take(0, stripGo*w), s.take(1, stripGo*w), s.take(2, stripGo*w), s.take(3, stripGo*w)
	p.first = newSlide(s, 4, p.down, w)
	p.second = newSlide(s, 6, p.down, side)
	for t := range p.down.steps() {
		p.bring(t)
		if p.first.step(p.strip[p.waiting*w:][:w]) {
			p.waiting++
		}
		if p.waiting == stripGo {
			p.flush()
		}
	}
	p.flush()
	for p.second.t < p.down.steps() {
		p.keep()
	}
}

// A streamGo is one image on its way through the four passes.
type streamGo struct {
	s               *workspace
	src             rows
	across, down    box
	lines, filtered []float32 // a strip before and after the first pass along x
	strip, done     []float32 // the same for the second
	first, second   *slide
	waiting         int // rows in strip
	sampled         int // rows of the shrunk image that are done
	line            [side]float32
}

// bring takes row t, if there is one, through the first pass along x.
func (p *streamGo) bring(t int) {
	w, h := p.across.n, p.down.n
	if t >= h {
		return
	}
	if t%stripGo == 0 {
		for r := range min(stripGo, h-t) {
			p.src.luma(p.lines[r*w:][:w], t+r)
		}
		p.across.rows(p.filtered, p.lines, w)
	}
	copy(p.first.next(), p.filtered[t%stripGo*w:])
}

// flush takes the rows that wait through both second passes.
func (p *streamGo) flush() {
	w := p.across.n
	p.across.rows(p.done, p.strip, w)
	for r := range p.waiting {
		row := p.second.next()
		for x := range row {
			row[x] = p.done[r*w+sample(x, w)]
		}
		p.keep()
	}
	p.waiting = 0
}

// keep makes one step of the last pass and keeps its row as often as it is
// sampled.
func (p *streamGo) keep() {
	y := p.second.t - p.down.half + 1
	if !p.second.step(p.line[:]) {
		return
	}
	for ; p.sampled < side && sample(p.sampled, p.down.n) == y; p.sampled++ {
		copy(p.s.small[p.sampled*side:], p.line[:])
	}
}

// rows filters stripGo rows of w samples along x.
func (b box) rows(dst, src []float32, w int) {
	var sum [stripGo]float32
	for t := range b.win {
		b.edge(&sum, t, dst, src, w)
	}
	b.inside(&sum, dst, src, w)
	for t := b.n; t < b.steps(); t++ {
		b.edge(&sum, t, dst, src, w)
	}
}

// edge makes step t where samples only come in or only go out.
func (b box) edge(sum *[stripGo]float32, t int, dst, src []float32, w int) {
	for r := range sum {
		if t < b.n {
			sum[r] += src[r*w+t]
		}
		if t >= b.win {
			sum[r] -= src[r*w+t-b.win]
		}
		if t >= b.half-1 {
			dst[r*w+t-b.half+1] = sum[r] / float32(b.count(t))
		}
	}
}

// inside makes the steps at which one sample comes in and one goes out.
func (b box) inside(sum *[stripGo]float32, dst, src []float32, w int) {
	m := b.n - b.win
	in := func(r int) []float32 { return src[r*w+b.win:][:m] }
	out := func(r int) []float32 { return src[r*w:][:m] }
	to := func(r int) []float32 { return dst[r*w+b.win-b.half+1:][:m] }
	in0, in1, in2, in3 := in(0), in(1), in(2), in(3)
	out0, out1, out2, out3 := out(0), out(1), out(2), out(3)
	to0, to1, to2, to3 := to(0), to(1), to(2), to(3)
	s0, s1, s2, s3 := sum[0], sum[1], sum[2], sum[3]
	c, inv := float32(b.win), reciprocal(b.win)
	for i := range m {
		s0, s1, s2, s3 = s0+in0[i], s1+in1[i], s2+in2[i], s3+in3[i]
		s0, s1, s2, s3 = s0-out0[i], s1-out1[i], s2-out2[i], s3-out3[i]
		if inv != 0 {
			to0[i], to1[i], to2[i], to3[i] = s0*inv, s1*inv, s2*inv, s3*inv
		} else {
			to0[i], to1[i], to2[i], to3[i] = s0/c, s1/c, s2/c, s3/c
		}
	}
	*sum = [stripGo]float32{s0, s1, s2, s3}
}

// A slide runs the box filter along the columns of rows that come one by one.
type slide struct {
	b          box
	w, t       int // row length; the step that comes next
	rows       []float32
	mask       int
	sum, empty []float32
}

// newSlide uses the buffers i and i+1.
func newSlide(s *workspace, i int, b box, w int) *slide {
	n := ceil2(b.win + 1)
	both := s.cleared(i+1, 2*w)
	return &slide{b: b, w: w, rows: s.take(i, n*w), mask: n - 1, sum: both[:w], empty: both[w:]}
}

func (p *slide) row(t int) []float32 { return p.rows[t&p.mask*p.w:][:p.w] }

// next is where the row that comes in at the next step belongs.
func (p *slide) next() []float32 { return p.row(p.t) }

// step makes the next step and says whether dst is now an output.
func (p *slide) step(dst []float32) bool {
	t := p.t
	p.t++
	in, out := p.empty, p.empty
	if t < p.b.n {
		in = p.row(t)
	}
	if t >= p.b.win {
		out = p.row(t - p.b.win)
	}
	slideRow(p.sum, in, out, dst, p.b.count(t))
	return t >= p.b.half-1
}

// slideRow adds in to sum, takes out from it and sets dst to sum/count.
func slideRow(sum, in, out, dst []float32, count int) {
	c := float32(count)
	in, out, dst = in[:len(sum)], out[:len(sum)], dst[:len(sum)]
	if inv := reciprocal(count); inv != 0 {
		for i := range sum {
			s := sum[i] + in[i] - out[i]
			sum[i], dst[i] = s, s*inv
		}
		return
	}
	for i := range sum {
		s := sum[i] + in[i] - out[i]
		sum[i], dst[i] = s, s/c
	}
}
