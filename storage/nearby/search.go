// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"runtime"
	"sync/atomic"
)

// Search appends to dst every pair within radius bits of q, ordered by
// distance, then hash, then ref. truncated says that a limit of the index was
// met and matches may be missing. Radii above MaxIndexed are exact too, and
// slower by orders of magnitude.
func (x *Index) Search(q *[32]byte, radius int, dst []Match) (matches []Match, truncated bool) {
	s := scratches.Get().(*scratch)
	s.seat = x.readers.Enter(s.seat)
	a := answer{q: fromHash(q), radius: min(radius, 256), dst: dst, from: len(dst), limits: x.limits}
	for _, seg := range *x.segments.Load() {
		x.searchSegment(seg, s, &a)
	}
	x.readers.Leave(s.seat)
	scratches.Put(s)
	runtime.KeepAlive(x)
	return a.finish()
}

// answer is one query being answered.
type answer struct {
	q         row
	radius    int
	limits    Limits
	dst       []Match
	from      int
	scanned   int
	looked    int
	full      bool // nothing more may be looked up or answered
	truncated bool
}

func (a *answer) finish() ([]Match, bool) {
	sortMatches(a.dst[a.from:])
	return a.dst, a.truncated
}

func (x *Index) searchSegment(seg *segment, s *scratch, a *answer) {
	switch {
	case a.radius < 0 || a.full:
	case a.radius > MaxIndexed:
		seg.searchAll(a)
	default:
		s.runs = seg.runs(&a.q, &plans[a.radius], s.runs[:0])
		x.searchRuns(seg, s, a)
	}
}

// searchRuns scans s.runs and appends what matches.
func (x *Index) searchRuns(seg *segment, s *scratch, a *answer) {
	n := a.limitScan(s.runs)
	s.runs = append(s.runs[:n], make([]run, runsAhead)...)
	s.seen.reset()
	for at := 0; at < n && !a.full; {
		done, found := x.kernel.scan(seg.units, s.runs[at:n], s.out)
		at += done
		ids := seg.rowNumbers(a, s, s.out[:found])
		x.kernel.prefetch(seg.units, seg.rows, ids)
		seg.compare(a, ids)
	}
}

// limitScan returns how many of the runs the limit of scanned postings allows.
func (a *answer) limitScan(runs []run) int {
	if a.limits.Scanned == 0 {
		return len(runs)
	}
	for i := range runs {
		a.scanned += int(runs[i].units) * unitLanes
		if a.scanned > a.limits.Scanned {
			a.truncated = true
			return i
		}
	}
	return len(runs)
}

// rowNumbers replaces positions by the numbers of the rows there, each once
// in a search.
func (seg *segment) rowNumbers(a *answer, s *scratch, positions []uint32) (ids []uint32) {
	if most := a.limits.Candidates; most > 0 && a.looked+len(positions) > most {
		positions = positions[:most-a.looked]
		a.full, a.truncated = true, true
	}
	a.looked += len(positions)
	for i, pos := range positions {
		positions[i] = seg.id(pos)
	}
	ids = positions[:0]
	top := seg.rowTop.Load()
	for _, id := range positions {
		if id < top && rowNumberOK(id) && s.seen.add(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// compare appends the rows within the radius.
func (seg *segment) compare(a *answer, ids []uint32) {
	for _, id := range ids {
		r := seg.loadRow(id)
		if d := r.distance(&a.q); d <= a.radius {
			seg.match(a, id, &r, d)
		}
	}
}

// match appends a row with all its refs, if it is listed. A row number that
// was read in two parts while it changed may name any row, even one that is
// being written: then its ref or its content is another now.
func (seg *segment) match(a *answer, id uint32, r *row, d int) {
	ref := atomic.LoadUint64(&seg.refs[id])
	if ref == noRef || seg.loadRow(id) != *r {
		return
	}
	hash := r.hash()
	if ref != manyRefs {
		a.append(Match{hash, ref, d})
		return
	}
	if list := seg.lists.get(id); list != nil {
		list.each(func(ref uint64) bool { return a.append(Match{hash, ref, d}) })
	}
}

// append reports whether another match may follow.
func (a *answer) append(m Match) bool {
	if most := a.limits.Matches; most > 0 && len(a.dst)-a.from >= most {
		a.full, a.truncated = true, true
		return false
	}
	a.dst = append(a.dst, m)
	return true
}

// searchAll compares every row.
func (seg *segment) searchAll(a *answer) {
	for id := range seg.rowTop.Load() {
		if !rowNumberOK(id) || atomic.LoadUint64(&seg.refs[id]) == noRef {
			continue
		}
		r := seg.loadRow(id)
		if d := r.distance(&a.q); d <= a.radius {
			if seg.match(a, id, &r, d); a.full {
				return
			}
		}
	}
}
