// SPDX-License-Identifier: Apache-2.0

package nearby

import "sync/atomic"

// goKernel runs everywhere. Go has no way to prefetch; the processor still
// overlaps the reads of independent loops.
var goKernel = kernel{
	name:            "go",
	scan:            scanGo,
	prefetchHeaders: func(*directory, int, *row) {},
	lookUp:          lookUpGo,
	nearRows:        nearRowsGo,
}

func lookUpGo(s *segment, positions []uint32, met *recent, top uint32, ids []uint32) (n int) {
	for _, pos := range positions {
		id := s.id(pos)
		if id < top && rowNumberOK(id) && met.add(id) {
			ids[n] = id
			n++
		}
	}
	return n
}

func nearRowsGo(s *segment, ids []uint32, q *row, radius int) (n int) {
	for _, id := range ids {
		r := s.loadRow(id)
		if r.distance(q) <= radius {
			ids[n] = id
			n++
		}
	}
	return n
}

func scanGo(u *units, runs []run, n int, out []uint32) (done, found int) {
	for i := range runs[:n] {
		r := &runs[i]
		want := uint64(r.want()) * everyLane
		for ; r.units() > 0; r.place -= oneUnit - 1 {
			if len(out)-found < outMinimum {
				return i, found
			}
			lanes := (*[laneWords]uint64)(u.lanes[r.unit()*laneWords:])
			found = scanUnit(lanes, want, r.most(), r.unit()*unitLanes, out, found)
		}
	}
	return n, found
}

func scanUnit(lanes *[laneWords]uint64, want uint64, most uint16, pos uint32, out []uint32, found int) int {
	for i := range lanes {
		w := atomic.LoadUint64(&lanes[i]) ^ want
		for range most {
			w = dropBits(w)
		}
		for hits := zeroLanes(w); hits != 0; hits &= hits - 1 {
			out[found] = pos + uint32(i)*4 + laneOf(hits)
			found++
		}
	}
	return found
}
