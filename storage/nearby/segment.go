// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"sync/atomic"
	"unsafe"

	"github.com/tocsin-db/tocsin/storage/nearby/epoch"
	"github.com/tocsin-db/tocsin/storage/nearby/pages"
)

// segment holds up to 16 million distinct hashes: their rows and, for each of
// the 16 bands, a directory of buckets of postings. One goroutine writes.
type segment struct {
	heap
	directory   atomic.Pointer[directory]
	next        doubling
	headerSpace []uint32
	depthSpace  []uint8

	rows   []uint64 // four words each
	refs   refs
	lists  refLists
	listed int // rows that are listed

	rowTop  atomic.Uint32 // rows from here on were never used
	rowCap  uint32
	free    []uint32 // row numbers to use again
	readers *epoch.Domain
	limbo   limbo
	areas   []*pages.Area
	huge    bool
	since   uint64 // mark after which all searches know this segment, or 0
	leaving bool   // its rows are moving to another segment
	stays   bool   // they could not

	positions, rowsOf []uint32 // of the block that is being split
}

// The places of the areas that a load replaces.
const (
	areaRows = 5
	areaRefs = 6
)

// replace frees one of the areas and has another in its place.
func (s *segment) replace(i int, a *pages.Area) {
	old := s.areas[i]
	s.areas[i] = a // in the very array that is freed with the index
	_ = old.Free()
}

// newSegment reserves the memory of a segment for rowCap hashes.
func newSegment(rowCap uint32, limboStep int, readers *epoch.Domain) (*segment, error) {
	s := &segment{readers: readers, rowCap: rowCap, limbo: limbo{step: limboStep}}
	unitCap := min(3*rowCap+4096, maxUnits-1)
	s.limit, s.top = unitCap, 1
	s.units = &units{}
	var err error
	s.lanes = reserve[uint64](s, int(unitCap)*laneWords, &err)
	s.ids = reserve[uint64](s, int(unitCap)*idWords, &err)
	s.live = reserve[uint8](s, int(unitCap)+1, &err)
	s.headerSpace = reserve[uint32](s, directoryWords, &err)
	s.depthSpace = reserve[uint8](s, directoryWords, &err)
	s.rows = reserve[uint64](s, int(rowCap)*4, &err)
	s.refs.lo = reserve[uint32](s, int(rowCap), &err)
	s.refs.hi = reserve[uint32](s, int(rowCap), &err)
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
func (s *segment) start() {
	d := s.newDirectory(fewestBits)
	for b := range bandCount {
		s.point(d, b, 0, 0, s.block(1))
	}
	s.directory.Store(d)
}

func (s *segment) loadRow(id uint32) (r row) {
	w := s.rows[4*id : 4*id+4 : 4*id+4]
	for i := range r {
		r[i] = atomic.LoadUint64(&w[i])
	}
	return r
}

func (s *segment) storeRow(id uint32, r *row) {
	storeRow((*[4]uint64)(s.rows[4*id:4*id+4]), r)
}

// memory returns the bytes that were ever touched.
func (s *segment) memory() int {
	const perUnit = laneWords*8 + idWords*8 + 1
	const perRow = 4*8 + 4
	return int(s.top)*perUnit + int(s.rowTop.Load())*perRow + len(s.directory.Load().headers)*2*5
}
