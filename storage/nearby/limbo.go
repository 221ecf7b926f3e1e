// SPDX-License-Identifier: Apache-2.0

package nearby

// limbo holds what was taken out, oldest first, until no reader can still be
// reading it.
type limbo struct {
	items []retired
	step  int // how many more are retired before the readers are looked at
	check int // how many items there are when it is worth looking again
}

// retired is memory that no new reader reaches: a run of units, or with units
// 0 a row number.
type retired struct {
	mark  uint64
	at    uint32
	units uint32
}

// limboStep makes looking at the readers, which costs about as much as an Add,
// rare.
const limboStep = 256

func (s *segment) retireBlock(h header) {
	s.limbo.items = append(s.limbo.items, retired{s.readers.Retire(), h.unit(), h.units()})
}

func (s *segment) retireRow(id uint32) {
	s.limbo.items = append(s.limbo.items, retired{s.readers.Retire(), id, 0})
}

// reclaim puts to use what every reader has left.
func (s *segment) reclaim() {
	l := &s.limbo
	if len(l.items) < max(l.check, l.step) {
		return
	}
	quiet := s.readers.Quiet()
	n := 0
	for ; n < len(l.items) && l.items[n].mark <= quiet; n++ {
		if r := l.items[n]; r.units == 0 {
			s.free = append(s.free, r.at)
		} else {
			s.release(r.at, r.units)
		}
	}
	if n > 0 {
		l.items = append(l.items[:0], l.items[n:]...)
	}
	l.check = len(l.items) + l.step
}
