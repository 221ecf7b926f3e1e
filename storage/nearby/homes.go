// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"math/bits"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/tocsin-db/tocsin/storage/nearby/fetch"
)

// homeBand is what one band of a query looks into where every bucket has a
// home: the bucket of its value and those one bit away. Their places follow
// from it, so that the kernel needs no list of them.
type homeBand struct {
	home uint32 // of the band's first bucket
	at   uint32 // the bucket of the query's value
	want uint64 // the next band's value
}

const (
	homeGroup = 4 // bands that are scanned in one go
	homeRoom  = homeGroup * mostRuns * unitLanes
)

// The kernels that scan homes are written for the widest radius that the
// buckets answer: own value with up to three bits in the next band, neighbours
// with up to two.
const (
	ownMost  = 3
	nearMost = 2
)

// atHomes reports whether gatherHomes can answer.
func (g *gathering) atHomes(d *directory) bool {
	return g.kernel.scanHomes != nil && g.radius == MaxIndexed && !slices.Contains(d.homes[:], 0)
}

// gatherHomes is gatherRuns where every bucket has a home, four bands at a time.
// It scans every home without looking whether its bucket still lives there: what
// moved in instead may even be written at this moment, and is compared like any
// candidate. The blocks of those that moved out are few, and scanned last.
func (g *gathering) gatherHomes(d *directory) {
	for b := range bandCount {
		at := uint32(g.q.band(b)) >> (bandBits - d.bits)
		g.bands[b] = homeBand{d.homes[b], at, uint64(g.q.band((b + 1) % bandCount))}
	}
	g.bands[bandCount] = g.bands[bandCount-1]
	g.kernel.prefetchHomes(g.units, &g.bands[0], d.bits)
	g.runs = g.runs[:0]
	for b := 0; b < bandCount && g.allowHomes(d); b += homeGroup {
		moved := len(g.runs)
		for i := b; i < b+homeGroup; i++ {
			g.runs = d.movedRuns(i, &g.bands[i], g.runs)
		}
		if len(g.out)-g.found < homeRoom {
			g.drain()
		}
		before := g.found
		g.found += g.kernel.scanHomes(g.units, g.bands[b:b+homeGroup+1], d.bits, g.out[g.found:])
		d.placeRuns(g.units, g.runs[moved:])
		g.compare()
		g.lookUp(before)
	}
	if !g.spent {
		g.scan(0, len(g.runs))
	}
}

// allowHomes counts the homes of a group of bands against the limit of scanned
// postings, and reports whether they may be scanned.
func (g *gathering) allowHomes(d *directory) bool {
	if g.limits.Scanned != 0 && !g.spent {
		g.scanned += homeGroup * (1 + int(d.bits)) * unitLanes
		if g.scanned > g.limits.Scanned {
			g.spent, g.truncated = true, true
		}
	}
	return !g.spent && !g.done
}

// moved returns one bit for each bucket that a band looks into and that is not
// just its home: first its own, then those one bit away.
func (d *directory) moved(b, at int) (moved uint32) {
	if atomic.LoadUint64(&d.besideOf(b)[at>>6])>>(at&63)&1 == 0 {
		return 0
	}
	away := d.awayOf(b)
	if d.bits == bandBits {
		return movedOf((*[1 << bandBits >> 6]uint64)(away), uint(at))
	}
	word := atomic.LoadUint64(&away[at>>6])
	moved = uint32(word >> (at & 63) & 1)
	for bit := range min(d.bits, 6) {
		moved |= uint32(word>>((at^1<<bit)&63)&1) << (bit + 1)
	}
	for bit := uint(6); bit < d.bits; bit++ {
		moved |= uint32(atomic.LoadUint64(&away[(at^1<<(bit&15))>>6])>>(at&63)&1) << (bit + 1)
	}
	return moved
}

// movedOf is moved for a directory of all bits, without a loop: it is looked up
// for half of the bands of a query.
func movedOf(away *[1 << bandBits >> 6]uint64, at uint) uint32 {
	at &= 1<<bandBits - 1
	i, bit := at>>6, at&63
	word := atomic.LoadUint64(&away[i])
	moved := word>>bit&1 | word>>(bit^1)&1<<1 | word>>(bit^2)&1<<2 | word>>(bit^4)&1<<3 |
		word>>(bit^8)&1<<4 | word>>(bit^16)&1<<5 | word>>(bit^32)&1<<6
	moved |= atomic.LoadUint64(&away[i^1])>>bit&1<<7 |
		atomic.LoadUint64(&away[i^1<<1])>>bit&1<<8 |
		atomic.LoadUint64(&away[i^1<<2])>>bit&1<<9 |
		atomic.LoadUint64(&away[i^1<<3])>>bit&1<<10 |
		atomic.LoadUint64(&away[i^1<<4])>>bit&1<<11 |
		atomic.LoadUint64(&away[i^1<<5])>>bit&1<<12 |
		atomic.LoadUint64(&away[i^1<<6])>>bit&1<<13 |
		atomic.LoadUint64(&away[i^1<<7])>>bit&1<<14 |
		atomic.LoadUint64(&away[i^1<<8])>>bit&1<<15 |
		atomic.LoadUint64(&away[i^1<<9])>>bit&1<<16
	return uint32(moved)
}

// movedRuns appends the blocks of the buckets that are not just their home, and
// asks for their headers. Until placeRuns, the place of each is that of its header.
func (d *directory) movedRuns(b int, band *homeBand, dst []run) []run {
	at := int(band.at)
	for moved := d.moved(b, at); moved != 0; moved &= moved - 1 {
		k := bits.TrailingZeros32(moved)
		most := uint16(nearMost)
		if k == 0 {
			most = ownMost
		}
		place := b<<d.bits | at ^ 1<<k>>1
		fetch.Line(unsafe.Pointer(&d.headers[place]))
		dst = append(dst, run{uint64(place), newFilter(uint16(band.want), most)})
	}
	return dst
}

// placeRuns reads the headers of runs and asks for their first units.
func (d *directory) placeRuns(u *units, runs []run) {
	for i := range runs {
		h := header(atomic.LoadUint32(&d.headers[runs[i].place]))
		runs[i].place = placeOf(h)
		lanes := u.lanes[h.unit()*laneWords:]
		for n := range min(h.units(), 4) {
			fetch.Line(unsafe.Pointer(&lanes[n*laneWords]))
		}
	}
}
