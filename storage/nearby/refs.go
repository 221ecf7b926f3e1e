// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"slices"
	"sync"
	"sync/atomic"
)

// refs holds the ref of each row in two halves. The upper one is zero for the
// refs of most users; until one is not, its memory is neither read nor taken.
type refs struct {
	lo, hi []uint32
	wide   atomic.Bool // an upper half is not zero
}

// Lower halves that say something else; a ref that ends like that goes to a
// list.
const (
	noRef    = ^uint32(0)     // the row is not listed
	manyRefs = ^uint32(0) - 1 // its refs stand in a list
)

func plainRef(ref uint64) bool { return uint32(ref) < manyRefs }

// kind returns noRef, manyRefs, or anything else for a row with one ref.
func (r *refs) kind(id uint32) uint32 { return atomic.LoadUint32(&r.lo[id]) }

// one returns the ref of a row that has one.
func (r *refs) one(id uint32) uint64 {
	lo := uint64(atomic.LoadUint32(&r.lo[id]))
	if !r.wide.Load() {
		return lo
	}
	return uint64(atomic.LoadUint32(&r.hi[id]))<<32 | lo
}

// set gives a row its ref. The lower half comes last: it says that there is
// one.
func (r *refs) set(id uint32, ref uint64) {
	hi := uint32(ref >> 32)
	if hi != 0 && !r.wide.Load() {
		r.wide.Store(true)
	}
	if r.wide.Load() {
		atomic.StoreUint32(&r.hi[id], hi)
	}
	r.mark(id, uint32(ref))
}

// mark makes a row one without a ref or with many.
func (r *refs) mark(id, kind uint32) { atomic.StoreUint32(&r.lo[id], kind) }

// refLists holds the refs of rows that have several, by row number.
type refLists struct {
	m sync.Map // uint32 → *refList
}

// refList is the refs of one row in chunks. A chunk is never changed, only
// replaced, so that one change of a long list copies little and readers need
// no lock.
type refList struct {
	chunks atomic.Pointer[[]*atomic.Pointer[[]uint64]]
	where  map[uint64]int // the chunk of each ref; for the writer
}

const chunkRefs = 256

func (l *refLists) get(id uint32) *refList {
	v, ok := l.m.Load(id)
	if !ok {
		return nil
	}
	return v.(*refList)
}

func (l *refLists) start(id uint32, refs ...uint64) {
	list := &refList{where: map[uint64]int{}}
	list.chunks.Store(&[]*atomic.Pointer[[]uint64]{})
	for _, r := range refs {
		list.add(r)
	}
	l.m.Store(id, list)
}

// each calls yield with every ref until it returns false.
func (l *refList) each(yield func(ref uint64) bool) {
	for _, c := range *l.chunks.Load() {
		for _, r := range *c.Load() {
			if !yield(r) {
				return
			}
		}
	}
}

func (l *refList) add(ref uint64) (added bool) {
	if _, there := l.where[ref]; there {
		return false
	}
	chunks := *l.chunks.Load()
	last := len(chunks) - 1
	if last < 0 || len(*chunks[last].Load()) == chunkRefs {
		fresh := new(atomic.Pointer[[]uint64])
		fresh.Store(&[]uint64{})
		chunks = append(chunks, fresh) // readers see no further than their length
		l.chunks.Store(&chunks)
		last++
	}
	refs := append(*chunks[last].Load(), ref)
	chunks[last].Store(&refs)
	l.where[ref] = last
	return true
}

// remove takes ref out. Chunks are filled up from the end only, so one that
// lost all its refs stays as an empty one until the list goes.
func (l *refList) remove(ref uint64) (removed bool) {
	c, there := l.where[ref]
	if !there {
		return false
	}
	chunk := (*l.chunks.Load())[c]
	refs := slices.DeleteFunc(slices.Clone(*chunk.Load()), func(r uint64) bool { return r == ref })
	chunk.Store(&refs)
	delete(l.where, ref)
	return true
}

func (l *refList) len() int { return len(l.where) }
