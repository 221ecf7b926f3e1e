// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"sync/atomic"
	"unsafe"

	"github.com/tocsin-db/tocsin/storage/nearby/epoch"
	"github.com/tocsin-db/tocsin/storage/nearby/pages"
)

// Refs that a row cannot hold itself.
const (
	noRef    = ^uint64(0)     // the row is not listed
	manyRefs = ^uint64(0) - 1 // see segment.lists
)

// segment holds up to 16 million distinct hashes: their rows and, for each of
// the 16 bands, a directory of buckets of postings. One goroutine writes.
type segment struct {
	heap
	directory []uint32 // header of bucket v of band b at b<<16 | v
	depth     []uint8  // how many leading bits the values in its block share
	rows      []uint64 // four words each
	refs      []uint64 // the ref of each row, noRef or manyRefs
	lists     refLists

	rowTop  atomic.Uint32 // rows from here on were never used
	rowCap  uint32
	free    []uint32 // row numbers to use again
	readers *epoch.Domain
	limbo   limbo
	areas   []*pages.Area
	huge    bool
}

// newSegment reserves the memory of a segment for rowCap hashes.
func newSegment(rowCap uint32, readers *epoch.Domain) (*segment, error) {
	s := &segment{readers: readers, rowCap: rowCap}
	unitCap := rowCap + 4096
	s.limit, s.top = unitCap, 1
	s.units = &units{}
	var err error
	s.lanes = reserve[uint64](s, int(unitCap)*laneWords, &err)
	s.ids = reserve[uint64](s, int(unitCap)*idWords, &err)
	s.live = reserve[uint8](s, int(unitCap)+1, &err)
	s.directory = reserve[uint32](s, bandCount<<bandBits, &err)
	s.depth = reserve[uint8](s, bandCount<<bandBits, &err)
	s.rows = reserve[uint64](s, int(rowCap)*4, &err)
	s.refs = reserve[uint64](s, int(rowCap), &err)
	if err != nil {
		release(s.areas)
		return nil, err
	}
	return s, nil
}

func reserve[T any](s *segment, n int, err *error) []T {
	if *err != nil {
		return nil
	}
	var t T
	area, e := pages.Reserve(n * int(unsafe.Sizeof(t)))
	if e != nil {
		*err = e
		return nil
	}
	s.areas = append(s.areas, area)
	return pages.View[T](area)[:n]
}

func release(areas []*pages.Area) {
	for _, a := range areas {
		_ = a.Free()
	}
}

// useHugePages asks for huge pages once the segment is large enough to fill
// them; a small index stays small.
func (s *segment) useHugePages() {
	if !s.huge {
		s.huge = true
		for _, a := range s.areas {
			a.Huge()
		}
	}
}

// start gives every band one empty block.
func (s *segment) start() bool {
	for b := range bandCount {
		unit, ok := s.take(1)
		if !ok {
			return false
		}
		s.clear(unit, 1)
		s.point(b, 0, 0, newHeader(unit, 1))
	}
	return true
}

func (s *segment) header(b int, v uint16) header {
	return header(atomic.LoadUint32(&s.directory[b<<bandBits|int(v)]))
}

// point makes every bucket that shares the depth leading bits of v find its
// postings at h.
func (s *segment) point(b int, v uint16, depth uint8, h header) {
	span := 1 << (bandBits - depth)
	from := b<<bandBits | int(v)&^(span-1)
	for i := from; i < from+span; i++ {
		atomic.StoreUint32(&s.directory[i], uint32(h))
		s.depth[i] = depth
	}
}

func (s *segment) loadRow(id uint32) (r row) {
	w := s.rows[4*id : 4*id+4 : 4*id+4]
	for i := range r {
		r[i] = atomic.LoadUint64(&w[i])
	}
	return r
}

func (s *segment) storeRow(id uint32, r *row) {
	for i, w := range r {
		atomic.StoreUint64(&s.rows[4*id+uint32(i)], w)
	}
}

// memory returns the bytes that were ever touched.
func (s *segment) memory() int {
	const perUnit = laneWords*8 + idWords*8 + 1
	const perRow = 4*8 + 8
	return int(s.top)*perUnit + int(s.rowTop.Load())*perRow + len(s.directory)*5
}
