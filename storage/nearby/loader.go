// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"errors"
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"
)

// Loader fills an empty Index much faster than Add does, for the start of a
// node: it takes every pair first and then lays the buckets out in one go. It
// is for one goroutine, but for AddDistinct. The index answers, and may be
// added to, once Finish has returned; until then it is empty.
type Loader struct {
	x        *Index
	taking   sync.Mutex // of rows
	seed     maphash.Seed
	segments []*segment
	known    []knownRows // of each segment that Add filled
	waiting  []pair      // pairs whose place in known is being fetched
	hint     int
	pairs    int
	finished bool
}

type pair struct {
	row  row
	hash uint64
	ref  uint64
}

const loaderWaits = 32

var (
	errNotEmpty = errors.New("nearby: only an empty index can be loaded")
	errFinished = errors.New("nearby: this load is finished")
)

// Loader starts a load. hint is about how many distinct hashes are to come, or
// 0.
func (x *Index) Loader(hint int) *Loader {
	return &Loader{x: x, seed: maphash.MakeSeed(), hint: max(hint, 1024), waiting: make([]pair, 0, loaderWaits)}
}

// Add takes one pair, as Index.Add does.
func (l *Loader) Add(hash *[32]byte, ref uint64) error {
	if l.finished {
		return errFinished
	}
	r := fromHash(hash)
	h := maphash.Comparable(l.seed, r)
	if n := len(l.known); n > 0 {
		l.known[n-1].prefetch(h)
	}
	l.waiting = append(l.waiting, pair{r, h, ref})
	if len(l.waiting) == loaderWaits {
		return l.settle()
	}
	return nil
}

// AddDistinct takes hashes that are each other than the others and than any
// that is added before or later, all with one ref. It looks none of them up,
// and any number of goroutines may call it at a time, though not with Add.
func (l *Loader) AddDistinct(hashes [][32]byte, ref uint64) error {
	for len(hashes) > 0 {
		s, from, n, err := l.take(len(hashes))
		if err != nil {
			return err
		}
		for i := range hashes[:n] {
			r := fromHash(&hashes[i])
			s.storeRow(from+uint32(i), &r)
			s.setRef(from+uint32(i), ref)
		}
		hashes = hashes[n:]
	}
	return nil
}

// take gives up to most rows in succession to its caller.
func (l *Loader) take(most int) (s *segment, from uint32, n int, err error) {
	l.taking.Lock()
	defer l.taking.Unlock()
	if l.finished {
		return nil, 0, 0, errFinished
	}
	if s, err = l.current(); err != nil {
		return nil, 0, 0, err
	}
	from = s.rowTop.Load()
	for n < most && from+uint32(n) < s.rowCap && rowNumberOK(from+uint32(n)) {
		n++
	}
	s.moveTop(from + uint32(n))
	s.listed += n
	l.pairs += n
	return s, from, n, nil
}

// settle gives the waiting pairs their rows.
func (l *Loader) settle() error {
	for i := range l.waiting {
		if err := l.place(&l.waiting[i]); err != nil {
			return err
		}
	}
	l.waiting = l.waiting[:0]
	return nil
}

func (l *Loader) place(p *pair) error {
	for i := range l.known {
		if id, ok := l.known[i].find(p); ok {
			l.count(l.segments[i].addRef(id, p.ref))
			return nil
		}
	}
	s, err := l.current()
	if err != nil {
		return err
	}
	id := s.newRow()
	s.storeRow(id, &p.row)
	s.setRef(id, p.ref)
	s.publishRow(id)
	s.listed++
	if len(l.known) < len(l.segments) {
		l.known = append(l.known, newKnownRows(s, l.seed, min(l.hint, int(s.rowCap))))
	}
	l.known[len(l.known)-1].add(p.hash, id)
	l.count(true)
	return nil
}

func (l *Loader) count(added bool) {
	if added {
		l.pairs++
	}
}

// current returns the segment that takes the next row.
func (l *Loader) current() (*segment, error) {
	if n := len(l.segments); n > 0 && l.segments[n-1].rowTop.Load() < l.segments[n-1].rowCap {
		return l.segments[n-1], nil
	}
	s, err := l.x.reserve()
	if err != nil {
		return nil, err
	}
	if l.hint >= hugeFrom {
		s.useHugePages()
	}
	l.segments = append(l.segments, s)
	return s, nil
}

// Finish makes everything that was added findable. progress, which may be
// nil, is told how much of the work is done, from 0 to 1.
func (l *Loader) Finish(progress func(done float64)) error {
	if l.finished {
		return errFinished
	}
	if err := l.settle(); err != nil {
		return err
	}
	l.finished = true
	l.known = nil
	l.x.writing.Lock()
	defer l.x.writing.Unlock()
	if len(*l.x.segments.Load()) > 0 {
		return errNotEmpty
	}
	l.layOut(progress)
	l.x.segments.Store(&l.segments)
	l.x.pairs.Store(int64(l.pairs))
	return nil
}

// layOut builds the bands of all segments on all processors.
func (l *Loader) layOut(progress func(done float64)) {
	bands := len(l.segments) * bandCount
	counts := make([][]uint32, len(l.segments)) // postings of each bucket
	for i, s := range l.segments {
		d := s.newDirectory(max(l.x.leastBits, bitsFor(s.listed)))
		d.away = make([]uint64, bandCount*awayWords(d.bits))
		d.beside = make([]uint64, len(d.away))
		s.directory.Store(d)
		counts[i] = make([]uint32, len(d.headers))
	}
	of := func(i int) (s *segment, b int, buckets []uint32) {
		s, b = l.segments[i/bandCount], i%bandCount
		bits := s.directory.Load().bits
		return s, b, counts[i/bandCount][b<<bits:][:1<<bits]
	}
	onAll(bands, func(next func() (int, bool)) {
		for i, ok := next(); ok; i, ok = next() {
			s, b, buckets := of(i)
			s.countBand(b, bandBits-s.directory.Load().bits, buckets)
		}
	})
	for i, s := range l.segments {
		if s.listed >= l.x.orderFrom {
			s.orderRows(counts[i], runtime.GOMAXPROCS(0))
		}
	}
	var all shared
	finished := 0
	onAll(bands, func(next func() (int, bool)) {
		var w bandWork
		for i, ok := next(); ok; i, ok = next() {
			s, b, buckets := of(i)
			w.layOut(s, b, buckets, &all)
			all.mu.Lock()
			if finished++; progress != nil {
				progress(float64(finished) / float64(bands))
			}
			all.mu.Unlock()
		}
	})
	for _, v := range all.vacant {
		v.segment.release(v.unit, 1)
	}
}

// onAll runs work on every processor; next deals out the numbers below n.
func onAll(n int, work func(next func() (i int, ok bool))) {
	var dealt atomic.Int64
	next := func() (int, bool) {
		i := int(dealt.Add(1) - 1)
		return i, i < n
	}
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		wg.Go(func() { work(next) })
	}
	wg.Wait()
}
