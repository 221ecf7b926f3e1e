// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"github.com/tocsin-db/tocsin/spec"
)

// part is a piece of a group: leaves first, then openings; Last ends the group.
type part struct {
	_        struct{} `cbor:",toarray"`
	First    uint64
	Leaves   [][]byte
	Openings []Opening
	Last     bool
}

func (p *part) items() int { return len(p.Leaves) + len(p.Openings) }

func (p *part) check() error {
	if p.items() == 0 && !p.Last {
		return spec.Errorf(spec.CodeMalformed, "a part that carries nothing")
	}
	if p.items() > maxPartItems {
		return spec.Errorf(spec.CodeTooLarge, "a part has at most %d items", maxPartItems)
	}
	return checkItems(p.Leaves, p.Openings)
}

// parts splits a group so that each part fits in a frame, and hands them to
// emit in order.
func (g *Group) parts(emit func(part) error) error {
	p, size := part{First: g.First}, 0
	room := func(n int) error {
		full := size+n > partTarget || p.items() == maxPartItems
		size += n
		if !full || p.items() == 0 {
			return nil
		}
		done := p
		p, size = part{First: g.First}, n
		return emit(done)
	}
	for _, l := range g.Leaves {
		if err := room(costOf(l)); err != nil {
			return err
		}
		p.Leaves = append(p.Leaves, l)
	}
	for _, o := range g.Openings {
		if err := room(costOf(o.Bytes)); err != nil {
			return err
		}
		p.Openings = append(p.Openings, o)
	}
	p.Last = true
	return emit(p)
}

// assembler puts parts together again. next is the size at which the next group
// must begin.
type assembler struct {
	next uint64
	cur  *Group
	cost int
}

// add returns the group that p completes, or nil. Errors are the sender's fault.
func (a *assembler) add(p *part) (*Group, error) {
	if p.First != a.next {
		return nil, spec.Errorf(spec.CodeMalformed, "a group that begins at %d where %d is due", p.First, a.next)
	}
	if a.cur == nil {
		a.cur, a.cost = &Group{First: p.First}, 0
	}
	if len(p.Leaves) > 0 && len(a.cur.Openings) > 0 {
		return nil, spec.Errorf(spec.CodeMalformed, "a leaf behind openings")
	}
	a.cost += (&Group{Leaves: p.Leaves, Openings: p.Openings}).cost()
	if a.cost > MaxGroup {
		return nil, spec.Errorf(spec.CodeTooLarge, "a group is at most %d bytes", MaxGroup)
	}
	a.cur.Leaves = append(a.cur.Leaves, p.Leaves...)
	a.cur.Openings = append(a.cur.Openings, p.Openings...)
	if !p.Last {
		return nil, nil
	}
	g := a.cur
	a.cur, a.next = nil, g.Next()
	return g, g.check()
}

// maxStretch bounds what a receiver holds of groups that are not proved yet. One
// group may be larger.
const maxStretch = 8 << 20

// A stretch is groups that were received and not proved yet.
type stretch struct {
	assembler
	groups []Group
	bytes  int
}

// take adds a part and reports how many bytes the group that it completed costs.
func (s *stretch) take(p *part) (completed int, err error) {
	g, err := s.add(p)
	if err != nil || g == nil {
		return 0, err
	}
	cost := g.cost()
	if s.bytes += cost; s.bytes > maxStretch && len(s.groups) > 0 {
		return 0, spec.Errorf(spec.CodeTooLarge, "%d bytes of groups came without a proof", s.bytes)
	}
	s.groups = append(s.groups, *g)
	return cost, nil
}

// open reports whether anything of a stretch has come.
func (s *stretch) open() bool { return s.cur != nil || len(s.groups) > 0 }

// end hands over the groups, which must end at next.
func (s *stretch) end(next uint64) ([]Group, error) {
	groups := s.groups
	s.groups, s.bytes = nil, 0
	if s.cur != nil || s.next != next {
		return nil, spec.Errorf(spec.CodeMalformed, "a stretch is said to end at %d and ends at %d", next, s.next)
	}
	return groups, nil
}

// restart drops what has come and begins anew at next.
func (s *stretch) restart(next uint64) { *s = stretch{assembler: assembler{next: next}} }
