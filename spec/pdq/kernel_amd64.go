// SPDX-License-Identifier: Apache-2.0

package pdq

import "golang.org/x/sys/cpu"

func nativeKernels() []*Kernel {
	var all []*Kernel
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ {
		all = append(all, &kernel512)
	}
	return all
}

// A vectors kernel filters rows by turning a strip of them on its side, so that
// one register holds the same column of many rows.
type vectors struct {
	unit int // side of the squares that turn exchanges
	// turn exchanges rows and columns of squares of unit by unit. Strides are
	// between rows of a square, steps between squares; all are in bytes.
	turn func(dst, src *float32, dstStride, srcStride, dstStep, srcStep, blocks int)
	// run makes steps of the filter on stripRows rows at once: sum takes in
	// and gives out, and dst is sum/c. inv is the reciprocal of c or 0.
	run func(dst, in, out, sum *float32, steps int, c, inv float32)
}

// stripRows is how many rows lie side by side: enough for several registers,
// since one sum waits for the last.
const stripRows = 32

const laneBytes = 4 * stripRows

// toLanes turns a strip of rows of n samples on its side.
func (v *vectors) toLanes(dst, src []float32, n int) {
	for r := 0; r < stripRows; r += v.unit {
		v.turn(&dst[r], &src[r*n], laneBytes, 4*n, v.unit*laneBytes, 4*v.unit, n/v.unit)
	}
}

// toRows turns n lanes back into rows.
func (v *vectors) toRows(dst, src []float32, n int) {
	for r := 0; r < stripRows; r += v.unit {
		v.turn(&dst[r*n], &src[r], 4*n, laneBytes, 4*v.unit, v.unit*laneBytes, n/v.unit)
	}
}

// filter runs the box over the rows of src and returns the result as lanes,
// and other lanes that are free for use.
func (v *vectors) filter(w *workspace, b box, src []float32, n int) (done, free []float32) {
	lanes := grow(&w.lanes, 2*n*stripRows)
	in, out := lanes[:n*stripRows], lanes[n*stripRows:]
	v.toLanes(in, src, n)
	var sum, none, idle [stripRows]float32
	at := func(l []float32, i int) *float32 { return &l[i*stripRows] }
	for t := range b.win {
		dst := &idle[0]
		if t >= b.half-1 {
			dst = at(out, t-b.half+1)
		}
		v.run(dst, at(in, t), &none[0], &sum[0], 1, b.count(t), 0)
	}
	if b.n > b.win {
		c := float32(b.win)
		v.run(at(out, b.win-b.half+1), at(in, b.win), &in[0], &sum[0], b.n-b.win, c, reciprocal(c))
	}
	for t := b.n; t < b.steps(); t++ {
		v.run(at(out, t-b.half+1), &none[0], at(in, t-b.win), &sum[0], 1, b.count(t), 0)
	}
	return out, in
}

func (v *vectors) across(w *workspace, b box, dst, src []float32, n int) {
	done, _ := v.filter(w, b, src, n)
	v.toRows(dst, done, n)
}

func (v *vectors) sampled(w *workspace, b box, dst, src []float32, n int) {
	done, free := v.filter(w, b, src, n)
	if len(free) < side*stripRows {
		free = grow(&w.wide, side*stripRows)
	}
	for i := range side {
		copy(free[i*stripRows:][:stripRows], done[sample(i, b.n)*stripRows:])
	}
	v.toRows(dst, free, side)
}
