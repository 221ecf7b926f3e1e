// SPDX-License-Identifier: Apache-2.0

package nearby

import "sync"

// scratch is what one search works with.
type scratch struct {
	seat  uint32
	runs  []run
	bands [bandCount + 1]homeBand // the last one twice
	out   []uint32                // positions that passed the filter
	ids   []uint32                // row numbers to compare, then those that are within the radius
	met   recent
	near  idSet // what was answered

	keys  []uint64 // see sortMatches
	spare []Match
}

const outSize = 4096

var scratches = sync.Pool{New: func() any {
	return &scratch{runs: make([]run, 0, mostRuns*bandCount+runSpace), out: make([]uint32, outSize)}
}}

// recent remembers row numbers that were met lately, so that a row which
// several bands give is compared about once. It may forget, and costs the same
// for every number.
type recent struct {
	slots [recentSlots]uint32 // row number, and above it the query's mark
	mark  uint32
}

const recentSlots = 1 << 12

// reset forgets everything.
func (r *recent) reset() {
	if r.mark++; r.mark == 1<<8 {
		r.mark = 1
		clear(r.slots[:])
	}
}

// add reports whether id is not remembered. The kernels do it their own way.
func (r *recent) add(id uint32) bool {
	slot := &r.slots[id*0x9e3779b1>>(32-12)]
	tagged := id | r.mark<<24
	isNew := *slot != tagged
	*slot = tagged
	return isNew
}

// idSet is a set of row numbers that is cheap to empty.
type idSet struct {
	slots []uint32 // row number, and above it the mark of the set that it is in
	mark  uint32
	n     int
}

const idSetSmall = 1 << 10

func (s *idSet) reset() {
	if s.n = 0; s.slots == nil {
		s.slots = make([]uint32, idSetSmall)
	}
	if s.mark++; s.mark == 1<<8 {
		s.mark = 1
		clear(s.slots)
	}
}

// add reports whether id is new.
func (s *idSet) add(id uint32) bool {
	if 2*s.n >= len(s.slots) {
		s.enlarge()
	}
	mask := uint32(len(s.slots) - 1)
	for i := id * 0x9e3779b1 >> 8; ; i++ {
		switch slot := &s.slots[i&mask]; {
		case *slot == id|s.mark<<24:
			return false
		case *slot>>24 != s.mark:
			*slot = id | s.mark<<24
			s.n++
			return true
		}
	}
}

func (s *idSet) enlarge() {
	old := s.slots
	s.slots, s.n = make([]uint32, 4*len(old)), 0
	for _, slot := range old {
		if slot>>24 == s.mark {
			s.add(slot & noRow)
		}
	}
}
