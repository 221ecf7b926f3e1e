// SPDX-License-Identifier: Apache-2.0

package nearby

// hugeFrom is the number of rows from which huge pages do not waste memory.
const hugeFrom = 50_000

// canTake says that n hashes can be added whatever their buckets look like. It
// keeps far more back than one Add needs.
func (s *segment) canTake(n int) bool {
	return s.limit-s.top > uint32(n)*bandCount*(4+s.largest+s.largest/4)
}

// full says that the segment takes no more hashes.
func (s *segment) full() bool {
	return s.leaving || len(s.free) == 0 && s.rowTop.Load() >= s.rowCap || !s.canTake(1)
}

// addRow lists a hash that is not there yet. The segment must not be full.
func (s *segment) addRow(r *row, ref uint64) {
	s.list(r, func(id uint32) { s.setRef(id, ref) })
}

// addRowList is addRow with all the refs of a row of another segment.
func (s *segment) addRowList(r *row, refs *refList) {
	s.list(r, func(id uint32) {
		s.lists.m.Store(id, refs)
		s.refs.mark(id, manyRefs)
	})
}

// list adds a row that setRefs gives its refs.
func (s *segment) list(r *row, setRefs func(id uint32)) {
	s.enlarge()
	id := s.newRow()
	s.storeRow(id, r)
	setRefs(id)
	s.publishRow(id)
	for b := range bandCount {
		s.addPosting(b, r, id)
	}
	s.listed++
}

// newRow returns an unused row number.
func (s *segment) newRow() uint32 {
	if n := len(s.free); n > 0 {
		id := s.free[n-1]
		s.free = s.free[:n-1]
		return id
	}
	return s.rowTop.Load()
}

// publishRow lets searches that look at every row see row id, which has its
// ref by now.
func (s *segment) publishRow(id uint32) {
	if id != s.rowTop.Load() {
		return // used before
	}
	s.moveTop(id + 1)
}

// moveTop says that all rows below next were used.
func (s *segment) moveTop(next uint32) {
	for !rowNumberOK(next) && next < s.rowCap {
		next++
	}
	before := s.rowTop.Swap(next)
	if before < hugeFrom && next >= hugeFrom {
		s.useHugePages()
	}
}

// setRef gives a row its first ref.
func (s *segment) setRef(id uint32, ref uint64) {
	if plainRef(ref) {
		s.refs.set(id, ref)
		return
	}
	s.lists.start(id, ref)
	s.refs.mark(id, manyRefs)
}

// addRef gives a listed row one more ref.
func (s *segment) addRef(id uint32, ref uint64) (added bool) {
	if s.refs.kind(id) == manyRefs {
		return s.lists.get(id).add(ref)
	}
	one := s.refs.one(id)
	if one == ref {
		return false
	}
	s.lists.start(id, one, ref)
	s.refs.mark(id, manyRefs)
	return true
}

// removeRef takes a ref from a row, and the row out when that was the last.
func (s *segment) removeRef(id uint32, r *row, ref uint64) (removed bool) {
	if s.refs.kind(id) == manyRefs {
		list := s.lists.get(id)
		if !list.remove(ref) {
			return false
		}
		if list.len() > 0 {
			return true
		}
	} else if s.refs.one(id) != ref {
		return false
	}
	s.removeRow(id, r)
	return true
}

func (s *segment) removeRow(id uint32, r *row) {
	s.refs.mark(id, noRef)
	for b := range bandCount {
		s.removePosting(b, r, id)
	}
	s.lists.m.Delete(id)
	s.retireRow(id)
	s.listed--
}
