// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"unsafe"

	"github.com/tocsin-db/tocsin/storage/nearby/fetch"
)

// prefetch brings near what adding r to the segment will write: it would wait
// for memory some fifty times otherwise.
func (s *segment) prefetch(r *row) {
	d := s.directory.Load()
	for b := range bandCount {
		fetch.Line(unsafe.Pointer(&d.headers[d.at(b, r.band(b))]))
	}
	for b := range bandCount {
		h := d.header(b, r.band(b))
		last := h.unit() + h.units() - 1
		fetch.Line(unsafe.Pointer(&s.live[last]))
		fetch.Line(unsafe.Pointer(&s.lanes[last*laneWords]))
		fetch.Line(unsafe.Pointer(&s.ids[last*idWords]))
		fetch.Line(unsafe.Pointer(&s.ids[last*idWords+idWords-1]))
	}
}
