// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"unsafe"

	"github.com/tocsin-db/tocsin/storage/nearby/fetch"
)

// prefetch brings near what adding r to the segment will write: it would wait
// for memory some fifty times otherwise. A new posting mostly goes into the
// last unit of its block.
func (s *segment) prefetch(r *row) {
	d := s.directory.Load()
	var at [bandCount]int
	for b := range bandCount {
		at[b] = d.at(b, r.band(b))
		fetch.Line(unsafe.Pointer(&d.headers[at[b]]))
	}
	var last [bandCount]uint32
	for b := range bandCount {
		h := header(d.headers[at[b]])
		last[b] = h.unit() + h.units() - 1
	}
	first := header(d.headers[at[0]]).unit() // findRow looks at all of it
	fetch.Line(unsafe.Pointer(&s.lanes[first*laneWords]))
	fetchUnits(&s.lanes[0], &s.ids[0], &s.live[0], &last)
}
