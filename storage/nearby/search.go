// SPDX-License-Identifier: Apache-2.0

package nearby

import "runtime"

// Search appends to dst every pair within radius bits of q, ordered by
// distance, then hash, then ref. truncated says that a limit of the index was
// met and matches may be missing. Radii above MaxIndexed are exact too, and
// slower by orders of magnitude.
func (x *Index) Search(q *[32]byte, radius int, dst []Match) (matches []Match, truncated bool) {
	s := scratches.Get().(*scratch)
	s.seat = x.readers.Enter(s.seat)
	a := newAnswer(x, q, radius, dst)
	segments := *x.segments.Load()
	a.several = len(segments) > 1
	for _, seg := range segments {
		if a.goesOn() && a.radius <= MaxIndexed {
			g := gathering{segment: seg, scratch: s, answer: &a, kernel: x.kernel}
			g.gather()
			g.finish()
		} else if a.goesOn() {
			seg.searchAll(&a)
		}
	}
	x.readers.Leave(s.seat)
	matches, truncated = a.finish(s)
	scratches.Put(s)
	runtime.KeepAlive(x)
	return matches, truncated
}

// searchAll compares every row.
func (seg *segment) searchAll(a *answer) {
	for id := range seg.rowTop.Load() {
		if !rowNumberOK(id) || seg.refs.kind(id) == noRef {
			continue
		}
		r := seg.loadRow(id)
		if d := r.distance(&a.q); d <= a.radius {
			if a.match(seg, id, &r, d); a.done {
				return
			}
		}
	}
}
