// SPDX-License-Identifier: Apache-2.0

package nearby

import "slices"

// answer is one query being answered.
type answer struct {
	q         row
	radius    int
	limits    Limits
	dst       []Match
	from      int  // where this answer starts in dst
	several   bool // segments were searched
	scanned   int
	looked    int
	spent     bool // nothing more may be scanned
	done      bool // nothing more may be looked up or answered
	truncated bool
}

func newAnswer(x *Index, q *[32]byte, radius int, dst []Match) answer {
	return answer{q: fromHash(q), radius: min(radius, 256), limits: x.limits, dst: dst, from: len(dst)}
}

// goesOn says that another segment may be searched.
func (a *answer) goesOn() bool { return a.radius >= 0 && !a.done && !a.spent }

func (a *answer) finish(s *scratch) ([]Match, bool) {
	s.keys, s.spare = sortMatches(a.dst[a.from:], s.keys, s.spare)
	if a.several {
		// A hash that moved from one segment to another may be in both.
		a.dst = a.dst[:a.from+len(slices.Compact(a.dst[a.from:]))]
	}
	return a.dst, a.truncated
}

// cut ends the search where it is.
func (a *answer) cut() { a.done, a.truncated = true, true }

// match appends a row with all its refs, if it is listed. A row number that
// was read in two parts while it changed may name any row, even one that is
// being written: then its ref or its content is another now.
func (a *answer) match(seg *segment, id uint32, r *row, d int) {
	kind := seg.refs.kind(id)
	one := seg.refs.one(id)
	if kind == noRef || seg.loadRow(id) != *r {
		return
	}
	hash := r.hash()
	if kind != manyRefs && plainRef(one) {
		a.append(Match{hash, one, d})
		return
	}
	if list := seg.lists.get(id); list != nil {
		list.each(func(ref uint64) bool { return a.append(Match{hash, ref, d}) })
	}
}

// append reports whether another match may follow.
func (a *answer) append(m Match) bool {
	if most := a.limits.Matches; most > 0 && len(a.dst)-a.from >= most {
		a.cut()
		return false
	}
	a.dst = append(a.dst, m)
	return true
}

// allowScan returns how many of the runs the limit of scanned postings allows.
func (a *answer) allowScan(runs []run) int {
	if a.limits.Scanned == 0 {
		return len(runs)
	}
	for i := range runs {
		a.scanned += int(runs[i].units()) * unitLanes
		if a.scanned > a.limits.Scanned {
			a.spent, a.truncated = true, true
			return i
		}
	}
	return len(runs)
}

// allowLooks returns how many of n positions the limit of candidates allows.
func (a *answer) allowLooks(n int) int {
	if most := a.limits.Candidates; most > 0 && a.looked+n > most {
		n = most - a.looked
		a.cut()
	}
	a.looked += n
	return n
}
