// SPDX-License-Identifier: Apache-2.0

package nearby

// find returns the position of a posting with this very lane for which match
// holds.
func (s *segment) find(h header, lane uint16, match func(pos, id uint32) bool) (pos uint32, ok bool) {
	want := uint64(lane) * everyLane
	from, to := h.unit()*laneWords, (h.unit()+h.units())*laneWords
	for i, w := range s.lanes[from:to] {
		for hits := zeroLanes(w ^ want); hits != 0; hits &= hits - 1 {
			pos := (from+uint32(i))*4 + laneOf(hits)
			if id := s.id(pos); rowNumberOK(id) && match(pos, id) {
				return pos, true
			}
		}
	}
	return 0, false
}

// findRow returns the row number of a hash.
func (s *segment) findRow(r *row) (id uint32, ok bool) {
	s.find(s.directory.Load().header(0, r.band(0)), r.band(1), func(_, candidate uint32) bool {
		if s.loadRow(candidate) == *r {
			id, ok = candidate, true
		}
		return ok
	})
	return id, ok
}
