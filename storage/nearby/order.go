// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"sync"

	"github.com/tocsin-db/tocsin/storage/nearby/pages"
)

// Hashes that share crowded buckets, copies of one image or graphics from one
// template, are candidates for the same queries, thousands at a time. A load
// gives them neighbouring row numbers, so that reading their rows is reading on
// instead of jumping about. All others keep their order.

// crowdedTimes is how many times the average a bucket holds if it is crowded.
const crowdedTimes = 2

// orderFrom is the number of rows that fill a core's cache.
const orderFrom = 1 << 14

// orderRows renumbers the rows of a segment that nobody reads yet. counts are
// the postings of each bucket, band after band. Without memory for it the
// order stays as it is.
func (s *segment) orderRows(counts []uint32, workers int) {
	rows, err := pages.Reserve(len(s.rows) * 8)
	if err != nil {
		return
	}
	lo, err := pages.Reserve(len(s.refs.lo) * 4)
	if err != nil {
		_ = rows.Free()
		return
	}
	rows.Huge()
	lo.Huge()
	keys := s.crowdKeys(counts, workers)
	s.renumber(keys, len(counts), pages.View[uint64](rows), pages.View[uint32](lo))
	s.replace(areaRows, rows)
	s.replace(areaRefs, lo)
}

// crowdKeys returns for every row the most crowded of its 16 buckets, or
// len(counts) where none is crowded.
func (s *segment) crowdKeys(counts []uint32, workers int) []uint32 {
	shift := bandBits - s.directory.Load().bits
	least := uint32(crowdedTimes*s.listed*bandCount/len(counts) + unitLanes)
	keys := make([]uint32, s.rowTop.Load())
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			from, to := w*len(keys)/workers, (w+1)*len(keys)/workers
			for id := from; id < to; id++ {
				key, most := uint32(len(counts)), least
				for b := range bandCount {
					at := uint32(b)<<(bandBits-shift) | uint32(s.bandOf(uint32(id), b)>>shift)
					if n := counts[at]; n > most {
						key, most = at, n
					}
				}
				keys[id] = key
			}
		})
	}
	wg.Wait()
	return keys
}

// renumber puts the rows in the order of their keys, of which there are most
// and one.
func (s *segment) renumber(keys []uint32, most int, rows []uint64, lo []uint32) {
	next := make([]uint32, most+2)
	for id, k := range keys {
		if rowNumberOK(uint32(id)) {
			next[k+1]++
		}
	}
	for k := range most + 1 {
		next[k+1] += next[k]
	}
	lists := refLists{}
	var hi []uint32
	if s.refs.wide.Load() {
		hi = append(hi, s.refs.hi[:len(keys)]...)
	}
	for id, k := range keys {
		from := uint32(id)
		if !rowNumberOK(from) {
			continue
		}
		to := nthRow(next[k])
		next[k]++
		copy(rows[4*to:4*to+4], s.rows[4*from:4*from+4])
		lo[to] = s.refs.lo[from]
		if hi != nil {
			s.refs.hi[to] = hi[from]
		}
		if lo[to] == manyRefs {
			lists.m.Store(to, s.lists.get(from))
		}
	}
	s.rows, s.refs.lo = rows[:len(s.rows)], lo[:len(s.refs.lo)]
	s.lists.m.Clear()
	lists.m.Range(func(id, list any) bool { s.lists.m.Store(id, list); return true })
}

// nthRow returns the n-th row number: those that end in ffff are not used.
func nthRow(n uint32) uint32 { return n + n/0xffff }
