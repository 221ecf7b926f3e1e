// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"errors"
	"math/bits"
)

// ErrFull says that no memory could be had for another hash.
var ErrFull = errors.New("the near-match index is out of memory")

// heap hands out runs of units: first fit by size with neighbours joined on
// release. A free run keeps its own list and size in the memory of its ids.
// Only the writer uses it.
type heap struct {
	*units
	live    []uint8 // of each unit in use, see liveCount; freeEnd at both ends of a free run
	top     uint32  // units from here on were never used
	largest uint32  // the longest run ever taken
	limit   uint32
	heads   [64]uint32 // first free run of each size; the last list takes the rest
	some    uint64     // which lists are not empty
}

const (
	freeEnd  = 0xff
	lastList = 63
)

// A unit in use notes how many postings it holds and whether it has holes.
// Without, they stand in its first lanes and the next lane is free.
const (
	liveCount = 0x3f
	liveHoles = 0x40
)

func moreLive(l uint8) uint8 {
	if l++; l&liveCount == unitLanes {
		return unitLanes
	}
	return l
}

func lessLive(l uint8) uint8 {
	if l--; l&liveCount == 0 {
		return 0
	}
	return l | liveHoles
}

// Words of a free run: its size, its neighbours in the list, and in its last
// unit the size again, so that the run behind it finds its start.
const (
	wordSize = iota
	wordNext
	wordPrev
	wordTail
)

func (h *heap) word(unit, w uint32) *uint64 { return &h.ids[unit*idWords+w] }

func list(n uint32) uint32 { return min(n, lastList) }

// take returns a run of n units, or false when there is none.
func (h *heap) take(n uint32) (unit uint32, ok bool) {
	h.largest = max(h.largest, n)
	for some := h.some &^ (1<<list(n) - 1); some != 0; some &= some - 1 {
		l := uint32(bits.TrailingZeros64(some))
		for unit = h.heads[l]; unit != 0; unit = uint32(*h.word(unit, wordNext)) {
			if size := uint32(*h.word(unit, wordSize)); size >= n {
				h.unlink(unit, size)
				h.give(unit+n, size-n)
				return unit, true
			}
		}
	}
	if h.limit-h.top < n {
		return 0, false
	}
	unit, h.top = h.top, h.top+n
	return unit, true
}

// extend takes the n units at unit if they are free: a block in front of them
// grows without moving.
func (h *heap) extend(unit, n uint32) bool {
	if unit == h.top {
		if h.limit-h.top < n {
			return false
		}
		h.top += n
		return true
	}
	if h.live[unit] != freeEnd {
		return false
	}
	size := uint32(*h.word(unit, wordSize))
	if size < n {
		return false
	}
	h.unlink(unit, size)
	h.give(unit+n, size-n)
	return true
}

// release gives a run back and joins it with the free runs around it.
func (h *heap) release(unit, n uint32) {
	if end := unit + n; end < h.top && h.live[end] == freeEnd {
		size := uint32(*h.word(end, wordSize))
		h.unlink(end, size)
		n += size
	}
	if h.live[unit-1] == freeEnd {
		size := uint32(*h.word(unit-1, wordTail))
		h.unlink(unit-size, size)
		unit, n = unit-size, n+size
	}
	h.give(unit, n)
}

// give puts a run, whose neighbours are in use, into its list.
func (h *heap) give(unit, n uint32) {
	if n == 0 {
		return
	}
	l := list(n)
	next := h.heads[l]
	*h.word(unit, wordSize), *h.word(unit, wordNext), *h.word(unit, wordPrev) = uint64(n), uint64(next), 0
	*h.word(unit+n-1, wordTail) = uint64(n)
	if next != 0 {
		*h.word(next, wordPrev) = uint64(unit)
	}
	h.live[unit], h.live[unit+n-1] = freeEnd, freeEnd
	h.heads[l], h.some = unit, h.some|1<<l
}

// unlink takes the free run at unit out of its list.
func (h *heap) unlink(unit, n uint32) {
	l := list(n)
	next, prev := uint32(*h.word(unit, wordNext)), uint32(*h.word(unit, wordPrev))
	if next != 0 {
		*h.word(next, wordPrev) = uint64(prev)
	}
	if prev != 0 {
		*h.word(prev, wordNext) = uint64(next)
	} else if h.heads[l] = next; next == 0 {
		h.some &^= 1 << l
	}
	h.live[unit], h.live[unit+n-1] = 0, 0
}
