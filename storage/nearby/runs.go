// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"slices"
	"sync/atomic"
)

// run is one block to scan for lanes that differ from want in at most most
// bits.
type run struct {
	unit  uint32
	units uint32
	want  uint16
	most  uint16
	_     uint32
}

// mostRuns is how many blocks one band can ask for.
const mostRuns = 1 + bandBits

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
	dst = slices.Grow(dst, mostRuns)
	out := (*[mostRuns]run)(dst[n : n+mostRuns])
	want, most := q.band((b+1)%bandCount), p[b].most
	at := int(q.band(b)) >> (bandBits - d.bits)
	if d.homes[b] != 0 {
		n += d.homeRuns(b, at, neighbours, want, most, out)
	} else {
		n += d.headerRuns(b, at, neighbours, want, most, out)
	}
	return dst[:n]
}

func (d *directory) headerRuns(b, at int, neighbours uint, want, most uint16, out *[mostRuns]run) (n int) {
	headers := d.headers[b<<d.bits:][:1<<d.bits]
	own := header(atomic.LoadUint32(&headers[at]))
	out[0] = run{unit: own.unit(), units: own.units(), want: want, most: most}
	n = 1
	for bit := range neighbours {
		if h := header(atomic.LoadUint32(&headers[at^1<<(bit&15)])); h != own {
			out[n%mostRuns] = run{unit: h.unit(), units: h.units(), want: want, most: most - 1}
			n++
		}
	}
	return n
}

// homeRuns is headerRuns where most blocks are homes.
func (d *directory) homeRuns(b, at int, neighbours uint, want, most uint16, out *[mostRuns]run) (n int) {
	home := d.homes[b]
	away := d.away[b<<d.bits>>6:]
	flip := 0
	for ; ; n++ {
		i := at ^ flip
		r := &out[n%mostRuns]
		*r = run{unit: home + uint32(i), units: 1, want: want, most: most}
		if atomic.LoadUint64(&away[i>>6])>>(i&63)&1 != 0 {
			h := header(atomic.LoadUint32(&d.headers[b<<d.bits|i]))
			r.unit, r.units = h.unit(), h.units()
		}
		if n == int(neighbours) {
			return n + 1
		}
		if n == 0 {
			most--
		}
		flip = 1 << (n & 15)
	}
}
