// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"runtime"
	"sync"
)

// batchShare is the number of queries for which another processor pays off.
const batchShare = 64

// SearchBatch answers all queries into out, in their order. It is faster than
// a Search each: the rows of one query are fetched while the next is looked
// up, and large batches use all processors.
func (x *Index) SearchBatch(qs [][32]byte, radius int, out *Results) {
	workers := max(1, min(runtime.GOMAXPROCS(0), len(qs)/batchShare))
	parts := out.start(workers, len(qs))
	if workers == 1 {
		x.searchPart(qs, radius, &parts[0])
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			x.searchPart(qs[w*len(qs)/workers:(w+1)*len(qs)/workers], radius, &parts[w])
		})
	}
	wg.Wait()
}

// seatTime is the number of queries after which a batch lets memory that was
// taken out meanwhile be used again.
const seatTime = 64

// searchPart answers qs with one goroutine.
func (x *Index) searchPart(qs [][32]byte, radius int, out *answers) {
	lookups := [2]lookup{newLookup(), newLookup()}
	hint := lookups[0].scratch.seat
	for len(qs) > 0 {
		n := min(seatTime, len(qs))
		seat := x.readers.Enter(hint)
		x.searchSome(qs[:n], radius, &lookups, out)
		x.readers.Leave(seat)
		qs, hint = qs[n:], seat
	}
	for i := range lookups {
		scratches.Put(lookups[i].scratch)
	}
	runtime.KeepAlive(x)
}

// searchSome answers qs with two queries under way at any time: one is being
// looked up, the rows of the other are on their way.
func (x *Index) searchSome(qs [][32]byte, radius int, lookups *[2]lookup, out *answers) {
	var pending *lookup
	for i := range qs {
		current := &lookups[i%2]
		current.start(x, &qs[i], radius)
		if pending != nil {
			out.append(pending.finish())
		}
		pending = current
	}
	out.append(pending.finish())
}

// lookup is one query of a batch under way.
type lookup struct {
	scratch *scratch
	answer  answer
	last    gathering // of the last segment: not compared yet
	open    bool
	dst     []Match
}

func newLookup() lookup { return lookup{scratch: scratches.Get().(*scratch)} }

// start looks the query up in every segment and leaves the rows of the last
// one to finish.
func (l *lookup) start(x *Index, q *[32]byte, radius int) {
	l.answer = newAnswer(x, q, radius, l.dst[:0])
	l.open = false
	segments := *x.segments.Load()
	l.answer.several = len(segments) > 1
	for _, seg := range segments {
		if l.open {
			l.last.finish()
		}
		l.open = l.answer.goesOn() && l.answer.radius <= MaxIndexed
		if l.open {
			l.last = gathering{segment: seg, scratch: l.scratch, answer: &l.answer, kernel: x.kernel}
			l.last.gather()
		} else if l.answer.goesOn() {
			seg.searchAll(&l.answer)
		}
	}
}

func (l *lookup) finish() ([]Match, bool) {
	if l.open {
		l.last.finish()
	}
	l.dst = l.answer.dst
	return l.answer.finish(l.scratch)
}
