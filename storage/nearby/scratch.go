// SPDX-License-Identifier: Apache-2.0

package nearby

import "sync"

// scratch is what one search works with.
type scratch struct {
	seat uint32
	runs []run
	out  []uint32 // positions that passed the filter
	ids  []uint32 // row numbers to compare
	seen seenSet

	keys  []uint64 // see sortMatches
	spare []Match
}

const outSize = 4096

var scratches = sync.Pool{New: func() any {
	return &scratch{runs: make([]run, 0, mostRuns*bandCount+2*runsAhead), out: make([]uint32, outSize)}
}}

// seenSet is a set of row numbers that is cheap to empty.
type seenSet struct {
	slots []uint32 // row number + 1, or 0
	n     int
}

const seenSmall = 512

func (s *seenSet) reset() {
	if len(s.slots) != seenSmall {
		s.slots = make([]uint32, seenSmall)
	} else if s.n > 0 {
		clear(s.slots)
	}
	s.n = 0
}

// add reports whether id is new.
func (s *seenSet) add(id uint32) bool {
	if 2*s.n >= len(s.slots) {
		s.enlarge()
	}
	mask := uint32(len(s.slots) - 1)
	for i := id * 0x9e3779b1 >> 8; ; i++ {
		switch slot := &s.slots[i&mask]; *slot {
		case id + 1:
			return false
		case 0:
			*slot = id + 1
			s.n++
			return true
		}
	}
}

func (s *seenSet) enlarge() {
	old := s.slots
	s.slots, s.n = make([]uint32, 4*len(old)), 0
	for _, slot := range old {
		if slot != 0 {
			s.add(slot - 1)
		}
	}
}
