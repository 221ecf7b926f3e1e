// SPDX-License-Identifier: Apache-2.0

package nearby

// addPosting lists row id in band b. The caller made sure that there is room.
func (s *segment) addPosting(b int, r *row, id uint32) {
	v, lane := r.band(b), r.band((b+1)%bandCount)
	d := s.directory.Load()
	for {
		h := d.header(b, v)
		if pos, ok := s.freeLane(h); ok {
			s.storePosting(pos, lane, id)
			s.live[pos/unitLanes] = moreLive(s.live[pos/unitLanes])
			return
		}
		if depth := d.depth[d.at(b, v)]; uint(depth) < d.bits {
			s.split(d, b, v)
		} else {
			s.grow(d, b, v)
		}
	}
}

// freeLane returns an unused position in a block.
func (s *segment) freeLane(h header) (pos uint32, ok bool) {
	end := h.unit() + h.units()
	for u := h.unit(); u < end; u++ {
		n := uint32(s.live[u] & liveCount)
		if n == unitLanes {
			continue
		}
		// Lanes fill up in order, so the next one is free unless some were
		// emptied.
		if s.live[u]&liveHoles == 0 {
			return u*unitLanes + n, true
		}
		for i := range uint32(unitLanes) {
			if pos := u*unitLanes + (n+i)%unitLanes; !rowNumberOK(s.id(pos)) {
				return pos, true
			}
		}
	}
	return 0, false
}

// block takes a block for n postings. The caller made sure that there is room.
func (s *segment) block(code uint8) header {
	n := unitsOf[code]
	unit, ok := s.take(n)
	if !ok {
		panic("nearby: a segment ran out of units that were counted as free")
	}
	s.clear(unit, n)
	clear(s.live[unit : unit+n])
	return newHeader(unit, code)
}

// push puts a posting into a block that no reader knows yet, as its n-th.
func (s *segment) push(h header, n uint32, lane uint16, id uint32) {
	pos := h.unit()*unitLanes + n
	s.setLanePlain(pos, lane)
	s.setIDPlain(pos, id)
	s.live[pos/unitLanes]++
}

// postings calls yield for every posting of a block.
func (s *segment) postings(h header, yield func(pos, id uint32)) {
	for pos, end := h.unit()*unitLanes, (h.unit()+h.units())*unitLanes; pos < end; pos++ {
		if id := s.id(pos); rowNumberOK(id) {
			yield(pos, id)
		}
	}
}

// split divides a full block in two by the next bit of the band's value, which
// only the rows know: all are asked for before the first is read. The old one
// stays as it is for readers that are in it.
func (s *segment) split(d *directory, b int, v uint16) {
	old, depth := d.header(b, v), d.depth[d.at(b, v)]
	s.positions, s.rowsOf = s.positions[:0], s.rowsOf[:0]
	for pos, end := old.unit()*unitLanes, (old.unit()+old.units())*unitLanes; pos < end; pos++ {
		if id := s.id(pos); rowNumberOK(id) {
			s.positions, s.rowsOf = append(s.positions, pos), append(s.rowsOf, id)
		}
	}
	fetchRows(s.rows, s.rowsOf)
	bit := uint(bandBits - 1 - depth)
	shift := uint(b&3*bandBits) + bit
	ones := uint32(0)
	for i, id := range s.rowsOf {
		side := uint32(s.rows[4*id+uint32(b>>2)]>>shift) & 1
		ones += side
		s.rowsOf[i] = id | side<<31
	}
	var halves [2]header
	for i, n := range [2]uint32{uint32(len(s.rowsOf)) - ones, ones} {
		halves[i] = s.block(codeFor(max(1, (n+unitLanes-1)/unitLanes)))
	}
	var n [2]uint32
	for i, id := range s.rowsOf {
		side := id >> 31
		s.push(halves[side], n[side], s.lane(s.positions[i]), id&noRow)
		n[side]++
	}
	s.point(d, b, v&^(1<<bit), depth+1, halves[0])
	s.point(d, b, v|1<<bit, depth+1, halves[1])
	s.retireBlock(old)
}

// grow gives a full block more units, in place where the memory behind it is
// free.
func (s *segment) grow(d *directory, b int, v uint16) {
	old := d.header(b, v)
	code := larger(old.code())
	more := unitsOf[code] - old.units()
	if end := old.unit() + old.units(); s.extend(end, more) {
		s.clear(end, more)
		clear(s.live[end : end+more])
		s.point(d, b, v, d.depth[d.at(b, v)], newHeader(old.unit(), code))
		return
	}
	fresh := s.block(code)
	s.copyUnits(fresh.unit(), old.unit(), old.units())
	s.point(d, b, v, d.depth[d.at(b, v)], fresh)
	s.retireBlock(old)
}

// copyUnits copies n units into a block that no reader knows yet.
func (s *segment) copyUnits(to, from, n uint32) {
	copy(s.lanes[to*laneWords:(to+n)*laneWords], s.lanes[from*laneWords:])
	copy(s.ids[to*idWords:(to+n)*idWords], s.ids[from*idWords:])
	copy(s.live[to:to+n], s.live[from:])
}

// move puts a block's postings into a new one of another size, without holes.
func (s *segment) move(d *directory, b int, v uint16, code uint8) {
	old := d.header(b, v)
	fresh := s.block(code)
	n := uint32(0)
	s.postings(old, func(pos, id uint32) {
		s.push(fresh, n, s.lane(pos), id)
		n++
	})
	s.point(d, b, v, d.depth[d.at(b, v)], fresh)
	s.retireBlock(old)
}

// removePosting takes row id out of band b.
func (s *segment) removePosting(b int, r *row, id uint32) {
	v, lane := r.band(b), r.band((b+1)%bandCount)
	d := s.directory.Load()
	h := d.header(b, v)
	pos, ok := s.find(h, lane, func(_, other uint32) bool { return other == id })
	if !ok {
		panic("nearby: a listed hash is missing from one of its buckets")
	}
	s.setID(pos, noRow)
	s.live[pos/unitLanes] = lessLive(s.live[pos/unitLanes])
	s.shrink(d, b, v)
}

// shrink moves the postings of a block that is mostly empty to a smaller one.
func (s *segment) shrink(d *directory, b int, v uint16) {
	h := d.header(b, v)
	units := h.units()
	if units == 1 {
		return
	}
	live := uint32(0)
	for _, n := range s.live[h.unit() : h.unit()+units] {
		live += uint32(n & liveCount)
	}
	if live <= (units-units/8-1)*unitLanes-unitLanes/2 && s.canTake(1) {
		s.move(d, b, v, codeFor(max(1, (live+unitLanes-1)/unitLanes)))
	}
}
