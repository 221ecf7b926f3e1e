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
	small [side*side + lane]float32 // the shrunk image; the rest is zero
	half  [16][side]float32
	bufs  [8][]float32 // for the kernel, each of any length
}

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

// take returns buffer i with n values, which may be anything.
func (s *workspace) take(i, n int) []float32 {
	if cap(s.bufs[i]) < n {
		s.bufs[i] = make([]float32, n)
	}
	return s.bufs[i][:n]
}

// cleared is take with zeros.
func (s *workspace) cleared(i, n int) []float32 {
	b := s.take(i, n)
	clear(b)
	return b
}

// ceil2 is the least power of two that is n or more.
func ceil2(n int) int { return 1 << bits.Len(uint(n-1)) }
