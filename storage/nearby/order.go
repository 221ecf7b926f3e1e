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
	s.renumber(keys, len(counts), workers, pages.View[uint64](rows), pages.View[uint32](lo))
	s.replace(areaRows, rows)
	s.replace(areaRefs, lo)
}

// crowdKeys returns for every row the most crowded of its 16 buckets, or
// len(counts) where none is crowded.
func (s *segment) crowdKeys(counts []uint32, workers int) []uint32 {
	bits := s.directory.Load().bits
	shift := bandBits - bits
	least := uint32(crowdedTimes*s.listed*bandCount/len(counts) + unitLanes)
	crowded := crowdedBuckets(counts, least)
	keys := make([]uint32, s.rowTop.Load())
	inParts(len(keys), workers, func(_, from, to int) {
		for id := from; id < to; id++ {
			key, most := uint32(len(counts)), least
			for b := range uint32(bandCount) {
				band := uint16(s.rows[4*uint32(id)+b>>2] >> (b & 3 * bandBits))
				at := b<<bits | uint32(band>>shift)
				if crowded[at>>6]>>(at&63)&1 == 0 {
					continue
				}
				if n := counts[at]; n > most {
					key, most = at, n
				}
			}
			keys[id] = key
		}
	})
	return keys
}

// crowdedBuckets has a bit for every bucket, so that few cache lines say of all
// whether they are worth a look.
func crowdedBuckets(counts []uint32, least uint32) []uint64 {
	crowded := make([]uint64, (len(counts)+63)/64)
	for i, n := range counts {
		if n > least {
			crowded[i>>6] |= 1 << (i & 63)
		}
	}
	return crowded
}

// inParts has each of so many workers do its part of n.
func inParts(n, workers int, do func(worker, from, to int)) {
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { do(w, w*n/workers, (w+1)*n/workers) })
	}
	wg.Wait()
}

// renumber puts the rows in the order of their keys, of which there are most
// and one; rows of one key keep theirs.
func (s *segment) renumber(keys []uint32, most, workers int, rows []uint64, lo []uint32) {
	next := places(keys, most, workers)
	lists := refLists{}
	var hi []uint32
	if s.refs.wide.Load() {
		hi = append(hi, s.refs.hi[:len(keys)]...)
	}
	inParts(len(keys), workers, func(w, begin, end int) {
		next := next[w]
		for id := begin; id < end; id++ {
			from := uint32(id)
			if !rowNumberOK(from) {
				continue
			}
			at := &next[keys[id]]
			to := nthRow(*at)
			*at++
			*(*row)(rows[4*to:]) = *(*row)(s.rows[4*from:])
			lo[to] = s.refs.lo[from]
			if hi != nil {
				s.refs.hi[to] = hi[from]
			}
			if lo[to] == manyRefs {
				lists.m.Store(to, s.lists.get(from))
			}
		}
	})
	s.rows, s.refs.lo = rows[:len(s.rows)], lo[:len(s.refs.lo)]
	s.lists.m.Clear()
	lists.m.Range(func(id, list any) bool { s.lists.m.Store(id, list); return true })
}

// places returns how many rows stand before the first of each key in each
// worker's part.
func places(keys []uint32, most, workers int) [][]uint32 {
	next := make([][]uint32, workers)
	inParts(len(keys), workers, func(w, begin, end int) {
		next[w] = make([]uint32, most+1)
		for id := begin; id < end; id++ {
			if rowNumberOK(uint32(id)) {
				next[w][keys[id]]++
			}
		}
	})
	sum := uint32(0)
	for k := range most + 1 {
		for w := range next {
			next[w][k], sum = sum, sum+next[w][k]
		}
	}
	return next
}

// nthRow returns the n-th row number: those that end in ffff are not used.
func nthRow(n uint32) uint32 { return n + n/0xffff }
