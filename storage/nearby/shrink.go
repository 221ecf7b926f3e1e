// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"runtime"
	"slices"
	"time"
)

// A segment that lost most of its hashes is given up: those left move, one at
// a time, to a segment behind it, and its memory goes back to the system.
//
// Searches never miss a hash that moves: they go through the segments in order,
// and it is listed in the later one before it leaves the earlier one. They may
// meet it in both, which the answer leaves out (see answer.finish).

const (
	// sparseTimes is how many times more rows than it has now a segment once
	// had when it is worth giving up.
	sparseTimes = 4
	// sparseFrom is the number of rows below which there is little to win.
	sparseFrom = 1 << 12
)

func (s *segment) sparse() bool {
	top := int(s.rowTop.Load())
	return !s.leaving && !s.stays && top >= sparseFrom && s.listed*sparseTimes < top
}

// giveUp starts emptying s unless another segment is being emptied. The caller
// holds the writers' lock.
func (x *Index) giveUp(s *segment) {
	if !x.emptying {
		x.emptying, s.leaving = true, true
		go x.empty(s)
	}
}

// empty moves what is left in s and frees it.
func (x *Index) empty(s *segment) {
	err := x.moveRows(s)
	if err == nil {
		x.drop(s)
	}
	x.writing.Lock()
	defer x.writing.Unlock()
	x.emptying = false
	// Without memory to move to, s stays and takes hashes again after all.
	s.leaving, s.stays = err == nil, err != nil
}

// moveRows moves every row of s. Writers wait for one row at most.
func (x *Index) moveRows(s *segment) error {
	for id := uint32(0); id < s.rowTop.Load(); id++ {
		if !rowNumberOK(id) {
			continue
		}
		for moved := false; !moved; {
			var err error
			if moved, err = x.moveRow(s, id); err != nil {
				return err
			}
			if !moved {
				time.Sleep(readersPause)
			}
		}
	}
	return nil
}

// moveRow moves a row, unless some search may not know yet of the segment that
// it moves to.
func (x *Index) moveRow(s *segment, id uint32) (moved bool, err error) {
	for x.waiting.Load() > 0 {
		runtime.Gosched()
	}
	x.writing.Lock()
	defer x.writing.Unlock()
	kind := s.refs.kind(id)
	if kind == noRef || id >= s.rowTop.Load() {
		return true, nil
	}
	to := x.behind(s)
	if to == nil {
		if to, err = x.grow(); err != nil {
			return false, err
		}
	}
	if to.since != 0 && to.since > x.readers.Quiet() {
		return false, nil
	}
	to.since = 0
	r := s.loadRow(id)
	if kind == manyRefs {
		to.addRowList(&r, s.lists.get(id))
	} else {
		to.addRow(&r, s.refs.one(id))
	}
	s.removeRow(id, &r)
	s.reclaim()
	return true, nil
}

// behind returns a segment with room that searches come to after s.
func (x *Index) behind(s *segment) *segment {
	segments := *x.segments.Load()
	for _, to := range segments[slices.Index(segments, s)+1:] {
		if to.reclaim(); !to.full() {
			return to
		}
	}
	return nil
}

// drop frees an empty segment once no search can be reading it.
func (x *Index) drop(s *segment) {
	x.writing.Lock()
	segments := slices.DeleteFunc(slices.Clone(*x.segments.Load()), func(o *segment) bool { return o == s })
	x.segments.Store(&segments)
	x.writing.Unlock()
	x.awaitReaders()
	release(s.areas)
}

// awaitReaders returns when all searches that are under way have ended.
func (x *Index) awaitReaders() {
	x.writing.Lock()
	mark := x.readers.Retire()
	x.writing.Unlock()
	for x.readers.Quiet() < mark {
		time.Sleep(readersPause)
	}
}

// readersPause is about how long a search takes.
const readersPause = 50 * time.Microsecond
