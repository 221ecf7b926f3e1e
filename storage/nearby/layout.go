// SPDX-License-Identifier: Apache-2.0

package nearby

import "sync"

// bandWork lays out one band after the other. Its memory is used again.
type bandWork struct {
	items []item
}

// shared is what the bands of a load have in common.
type shared struct {
	mu     sync.Mutex // guards the segments' heaps, too
	vacant []vacancy
}

// vacancy is a home that nobody lives in. The heap gets it back when all bands
// are laid out: it looks at the units around it.
type vacancy struct {
	segment *segment
	unit    uint32
}

// item is a posting on its way: row number, value and lane.
type item uint64

func newItem(id uint32, v, lane uint16) item {
	return item(id)<<32 | item(v)<<16 | item(lane)
}

func (i item) id() uint32   { return uint32(i >> 32) }
func (i item) value() int   { return int(i >> 16 & 0xffff) }
func (i item) lane() uint16 { return uint16(i) }

// layOut gives band b of a segment its blocks, in the order of the buckets so
// that neighbours lie near each other.
// The counts of the band's buckets are used up.
func (w *bandWork) layOut(s *segment, b int, buckets []uint32, all *shared) {
	d := s.directory.Load()
	shift := bandBits - d.bits
	w.partition(s, b, shift, buckets)

	w.placeBlocks(s, d, b, buckets, all)
	for _, it := range w.items {
		next := &buckets[it.value()>>shift]
		s.setLanePlain(*next, it.lane())
		s.setIDPlain(*next, it.id())
		*next++
	}
}

// placeBlocks takes the band's blocks and leaves in buckets where the postings
// of each go. With homes, a bucket of several units leaves its home free.
func (w *bandWork) placeBlocks(s *segment, d *directory, b int, buckets []uint32, all *shared) {
	total, small := uint32(0), 0
	for _, n := range buckets {
		total += blockUnits(n)
		if n <= unitLanes {
			small++
		}
	}
	homes := uint32(0)
	if small >= len(buckets)-len(buckets)/8 {
		homes = uint32(len(buckets))
		total += homes - uint32(small)
	}
	all.mu.Lock()
	unit := s.top
	s.top += total
	all.mu.Unlock()
	s.clear(unit, total)
	home, next := unit, unit+homes
	var vacant []vacancy
	if homes > 0 {
		d.homes[b] = home
	}
	for i, n := range buckets {
		size := codeFor(blockUnits(n))
		at := &next
		if homes > 0 && n <= unitLanes {
			at = new(home + uint32(i))
		} else if homes > 0 {
			vacant = append(vacant, vacancy{s, home + uint32(i)})
		}
		h := newHeader(*at, size)
		place := b<<d.bits | i
		d.headers[place], d.depth[place] = uint32(h), uint8(d.bits)
		d.leaveHome(b, place, h)
		s.fillCounts(*at, n)
		buckets[i] = *at * unitLanes
		*at += unitsOf[size]
	}
	all.mu.Lock()
	all.vacant = append(all.vacant, vacant...)
	all.mu.Unlock()
}

// blockUnits returns the size of a block for n postings.
func blockUnits(n uint32) uint32 {
	return unitsOf[codeFor(max(1, (n+unitLanes-1)/unitLanes))]
}

// fillCounts notes that the units of a block hold n rows.
func (s *segment) fillCounts(unit, n uint32) {
	for ; n > unitLanes; unit, n = unit+1, n-unitLanes {
		s.live[unit] = unitLanes
	}
	s.live[unit] = uint8(n)
}

func (s *segment) countBand(b int, shift uint, counts []uint32) {
	for id := range s.rowTop.Load() {
		if rowNumberOK(id) {
			counts[s.bandOf(id, b)>>shift]++
		}
	}
}

func (s *segment) bandOf(id uint32, b int) uint16 {
	return uint16(s.rows[4*id+uint32(b>>2)] >> (b & 3 * bandBits))
}

// partition puts the band's postings in the order of the upper 8 bits of
// their values, so that filling the blocks stays within the cache.
func (w *bandWork) partition(s *segment, b int, shift uint, counts []uint32) {
	if cap(w.items) < s.listed {
		w.items = make([]item, s.listed)
	}
	w.items = w.items[:s.listed]
	var starts [256]uint32
	perPart := max(1, len(counts)/256)
	sum := uint32(0)
	for i := range counts {
		if i%perPart == 0 {
			starts[i/perPart] = sum
		}
		sum += counts[i]
	}
	next := (b + 1) % bandCount
	for id := range s.rowTop.Load() {
		if rowNumberOK(id) {
			v := s.bandOf(id, b)
			at := &starts[int(v>>shift)/perPart]
			w.items[*at] = newItem(id, v, s.bandOf(id, next))
			*at++
		}
	}
}
