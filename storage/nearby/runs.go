// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"math/bits"
	"slices"
	"sync/atomic"
)

// run is one block to scan for lanes that differ from want in at most most
// bits. It is two words because a query makes 272 of them.
type run struct {
	place  uint64 // first unit, above it how many
	filter uint64 // want, above it most
}

const oneUnit = 1 << 32

func newFilter(want, most uint16) uint64 { return uint64(want) | uint64(most)<<16 }

func placeOf(h header) uint64 { return uint64(h.unit()) | uint64(h.units())<<32 }

func (r run) unit() uint32  { return uint32(r.place) }
func (r run) units() uint32 { return uint32(r.place >> 32) }
func (r run) want() uint16  { return uint16(r.filter) }
func (r run) most() uint16  { return uint16(r.filter >> 16) }

// mostRuns is how many blocks one band can ask for, and runSpace a power of
// two above it.
const (
	mostRuns = 1 + bandBits
	runSpace = 32
)

// runs appends the blocks of band b that a query has to scan: that of its own
// value and, with a share of two, those of the values one bit away. A
// neighbour in a lower bit than the directory has is in the same block.
func (d *directory) runs(b int, q *row, p *plan, dst []run) []run {
	if p[b].share == 0 {
		return dst
	}
	neighbours := uint(0)
	if p[b].share > 1 {
		neighbours = d.bits
	}
	n := len(dst)
	dst = slices.Grow(dst, runSpace)
	out := (*[runSpace]run)(dst[n : n+runSpace])
	want, most := q.band((b+1)%bandCount), p[b].most
	own, near := newFilter(want, most), newFilter(want, most-1)
	at := int(q.band(b)) >> (bandBits - d.bits)
	if d.homes[b] != 0 {
		n += d.homeRuns(b, at, neighbours, own, near, out)
	} else {
		n += d.headerRuns(b, at, neighbours, own, near, out)
	}
	return dst[:n]
}

func (d *directory) headerRuns(b, at int, neighbours uint, own, near uint64, out *[runSpace]run) (n int) {
	headers := d.headers[b<<d.bits:][:1<<d.bits]
	first := header(atomic.LoadUint32(&headers[at]))
	out[0] = run{placeOf(first), own}
	n = 1
	for bit := range neighbours {
		h := header(atomic.LoadUint32(&headers[at^1<<(bit&15)]))
		out[n%runSpace] = run{placeOf(h), near}
		if h != first {
			n++
		}
	}
	return n
}

// homeRuns is headerRuns where most blocks are homes.
func (d *directory) homeRuns(b, at int, neighbours uint, own, near uint64, out *[runSpace]run) (n int) {
	home := oneUnit | uint64(d.homes[b])
	out[0] = run{home + uint64(at), own}
	for bit := range neighbours {
		out[(bit+1)%runSpace] = run{home + uint64(at^1<<(bit&15)), near}
	}
	for moved := d.moved(b, at) & (2<<neighbours - 1); moved != 0; moved &= moved - 1 {
		k := bits.TrailingZeros32(moved)
		h := atomic.LoadUint32(&d.headers[b<<d.bits|at^1<<k>>1])
		out[k%runSpace].place = placeOf(header(h))
	}
	return int(neighbours) + 1
}
