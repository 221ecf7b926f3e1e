// SPDX-License-Identifier: Apache-2.0

package pdq

import "sync"

// side is the side of the shrunk image.
const side = 64

// scratch holds the buffers of one computation.
type scratch struct {
	line, sum, wide []float32 // one row each
	frame           []float32 // after the first pass along rows
	narrow          []float32 // after the second pass along rows: 64 columns
	small           [side][side]float32
	half            [16][side]float32
}

var scratchPool = sync.Pool{New: func() any { return new(scratch) }}

func grow(b *[]float32, n int) []float32 {
	if cap(*b) < n {
		*b = make([]float32, n)
	}
	return (*b)[:n]
}

// shrink fills s.small with the image after two passes of the box filter along
// rows and columns. Of the second passes only what the 64 by 64 samples need is
// kept.
func (s *scratch) shrink(src rows, w, h int) {
	if w == side && h == side {
		for y := range side {
			src.luma(s.small[y][:], y)
		}
		return
	}
	across, down := newBox(w), newBox(h)
	line, wide, sum := grow(&s.line, w), grow(&s.wide, w), grow(&s.sum, w)
	frame, narrow := grow(&s.frame, w*h), grow(&s.narrow, side*h)
	for y := range h {
		src.luma(line, y)
		across.row(frame[y*w:][:w], line)
	}
	down.columns(frame, w, sum, line, func(y int, row []float32) {
		across.row(wide, row)
		for i := range side {
			narrow[y*side+i] = wide[sample(i, w)]
		}
	})
	i := 0
	down.columns(narrow, side, grow(&s.sum, side), grow(&s.line, side), func(y int, row []float32) {
		for ; i < side && sample(i, h) == y; i++ {
			copy(s.small[i][:], row)
		}
	})
}
