// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tocsin-db/tocsin/storage/nearby/epoch"
	"github.com/tocsin-db/tocsin/storage/nearby/pages"
)

// Index is a set of (hash, ref) pairs that answers which hashes lie near a
// query. Any number of goroutines may search while others add and remove;
// searches take no lock and are never waited for. What Add has returned from,
// the next Search finds.
//
// An Index holds memory outside the garbage-collected heap, which is given
// back when most hashes were removed, and when the Index is no longer reachable.
type Index struct {
	settings
	kernel   *kernel
	readers  *epoch.Domain
	segments atomic.Pointer[[]*segment]
	pairs    atomic.Int64
	writing  sync.Mutex
	waiting  atomic.Int32 // for writing, but the move of rows does not count
	emptying bool         // a segment is being emptied; guarded by writing
}

// New makes an empty Index.
func New(opts ...Option) *Index {
	x := &Index{settings: settings{rowCap: defaultRowCap, limboStep: limboStep, orderFrom: orderFrom}, readers: new(epoch.Domain)}
	for _, o := range opts {
		o(&x.settings)
	}
	x.kernel = kernelNamed(x.settings.kernel)
	x.segments.Store(&[]*segment{})
	return x
}

// Kernel names the code that searches: avx512, avx2 or go.
func (x *Index) Kernel() string { return x.kernel.name }

// Len returns how many (hash, ref) pairs the index holds.
func (x *Index) Len() int { return int(x.pairs.Load()) }

// Add makes hash findable with ref. A pair that is there already is left as
// it is; one hash may be added with many refs. The error is ErrFull when
// there is no memory for it, and then nothing has changed.
func (x *Index) Add(hash *[32]byte, ref uint64) error {
	r := fromHash(hash)
	x.lock()
	defer x.writing.Unlock()
	return x.add(&r, ref)
}

// lock lets one writer in.
func (x *Index) lock() {
	x.waiting.Add(1)
	x.writing.Lock()
	x.waiting.Add(-1)
}

func (x *Index) add(r *row, ref uint64) error {
	if segments := *x.segments.Load(); len(segments) > 0 {
		segments[len(segments)-1].prefetch(r)
	}
	if s, id, ok := x.find(r); ok {
		if s.addRef(id, ref) {
			x.pairs.Add(1)
		}
		return nil
	}
	s, err := x.roomy()
	if err != nil {
		return err
	}
	s.addRow(r, ref)
	x.pairs.Add(1)
	return nil
}

// Remove takes the pair out and reports whether it was there.
func (x *Index) Remove(hash *[32]byte, ref uint64) (removed bool) {
	r := fromHash(hash)
	x.lock()
	defer x.writing.Unlock()
	s, id, ok := x.find(&r)
	if !ok || !s.removeRef(id, &r, ref) {
		return false
	}
	x.pairs.Add(-1)
	if s.reclaim(); s.sparse() {
		x.giveUp(s)
	}
	return true
}

// find returns where a hash is listed.
func (x *Index) find(r *row) (s *segment, id uint32, ok bool) {
	for _, s := range *x.segments.Load() {
		if id, ok := s.findRow(r); ok {
			return s, id, true
		}
	}
	return nil, 0, false
}

// roomy returns a segment that takes one more hash.
func (x *Index) roomy() (*segment, error) {
	segments := *x.segments.Load()
	for _, s := range segments {
		if s.reclaim(); !s.full() {
			return s, nil
		}
	}
	return x.grow()
}

// grow adds a segment.
func (x *Index) grow() (*segment, error) {
	s, err := x.reserve()
	if err != nil {
		return nil, err
	}
	s.start()
	segments := append(slices.Clip(*x.segments.Load()), s)
	x.segments.Store(&segments)
	s.since = x.readers.Retire()
	return s, nil
}

// reserve reserves the memory of a segment until the Index is unreachable.
// Where the system does not grant the full size, a smaller one will do.
func (x *Index) reserve() (s *segment, err error) {
	for rowCap := x.rowCap; rowCap >= min(x.rowCap, 1<<12); rowCap /= 4 {
		if s, err = newSegment(rowCap, x.limboStep, x.readers); err == nil {
			runtime.AddCleanup(x, release, s.areas)
			return s, nil
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrFull, err)
}

// Memory returns how many bytes the index has in use, the directories
// included and what the system reserves but never touched excluded.
func (x *Index) Memory() int {
	x.writing.Lock()
	defer x.writing.Unlock()
	n := 0
	for _, s := range *x.segments.Load() {
		n += s.memory()
	}
	return n
}

var defaultRowCap = func() uint32 {
	if pages.Lazy {
		return maxRows
	}
	return 1 << 15
}()
