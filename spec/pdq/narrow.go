// SPDX-License-Identifier: Apache-2.0

package pdq

// A ring64 holds the rows of 64 samples that the second pass along columns can
// see, and its sums.
type ring64 struct {
	rows []float32
	n    int // of rows, a power of two
	sum  [side]float32
	zero [side]float32
	idle [side]float32 // takes outputs that nobody wants
	next int           // the sample row that comes next
}

func (r *ring64) reset(win int) {
	r.n, r.next = ceil2(win+1), 0
	r.rows = grow(&r.rows, r.n*side)
	clear(r.sum[:])
}

func (r *ring64) row(y int) []float32 { return r.rows[y&(r.n-1)*side:][:side] }

// narrowColumn makes step t of the second pass along columns.
func (p *shrinker) narrowColumn(t int) {
	r := &p.s.narrow
	in, out, dst := r.zero[:], r.zero[:], r.idle[:]
	if t < p.down.n {
		in = r.row(t)
	}
	if t >= p.down.win {
		out = r.row(t - p.down.win)
	}
	y := t - p.down.half + 1
	first := r.next
	for r.next < side && sample(r.next, p.down.n) == y {
		r.next++
	}
	if r.next > first {
		dst = p.s.small[first*side:][:side]
	}
	p.k.slide(r.sum[:], in, out, dst, p.down.count(t))
	for i := first + 1; i < r.next; i++ { // images of fewer than 64 rows
		copy(p.s.small[i*side:][:side], dst)
	}
}
