// SPDX-License-Identifier: Apache-2.0

package entries

import (
	"errors"
	"math/bits"
	"sync/atomic"

	"github.com/tocsin-db/tocsin/spec"
)

// MaxListed is how many entries of one key the table holds. A key with more is
// crowded: the table says of it only that it does not know.
const MaxListed = 64

const (
	firstHeads = 512
	headNum    = 4 // heads for every headDen listings
	headDen    = 3
)

// ErrFull says that there is no memory for another listing.
var ErrFull = errors.New("the table of entries is out of memory")

// place returns the head of a key in a table of size heads (linear hashing; Litwin,
// VLDB 1980).
func place(lo, size uint64) uint64 {
	level := bits.Len64(size) - 1
	at := lo & (2<<level - 1)
	if at >= size {
		at &= 1<<level - 1
	}
	return at
}

// change runs fn while readers of a stripe know that something changes. It belongs
// to the writer.
func (t *Table) change(lo uint64, fn func()) {
	seq := &t.seqs[lo%stripes]
	seq.Add(1)
	fn()
	seq.Add(1)
}

// Put lists an entry under a key, or replaces what is said of it.
func (t *Table) Put(key Key, l *Listing) error {
	t.writing.Lock()
	defer t.writing.Unlock()
	said, err := t.said.take(l.Said, 1, t.decode)
	if err != nil {
		return err
	}
	number, err := t.take()
	if err != nil {
		return err
	}
	var unused uint32
	t.change(key.lo, func() { unused = t.put(key, l, said, number) })
	if unused != number {
		t.grow()
	}
	if unused != 0 {
		t.free = append(t.free, unused)
	}
	return nil
}

// put returns the row that it did not need, or 0.
func (t *Table) put(key Key, l *Listing, said, number uint32) (unused uint32) {
	listed := 0
	for n := *t.head(key.lo); n != 0; n = t.row(n).next() {
		r := t.row(n)
		if !r.is(key) {
			continue
		}
		if r.said() == 0 { // crowded
			t.said.drop(said)
			return number
		}
		if r.entry() == l.Entry {
			old := r.said()
			atomic.StoreUint64(&r[rowSince], l.Since)
			r.link(said, r.next())
			t.said.drop(old)
			return number
		}
		listed++
	}
	if listed == MaxListed {
		t.said.drop(said)
		t.unlink(key, func(*row) bool { return true })
		l, said = &Listing{}, 0
	}
	t.push(key, l, said, number)
	return 0
}

func (t *Table) push(key Key, l *Listing, said, number uint32) {
	head := t.head(key.lo)
	t.row(number).set(key, &l.Entry, l.Since, said, *head)
	atomic.StoreUint32(head, number)
	t.count++
}

// crowd makes a key crowded.
func (t *Table) crowd(key Key) error {
	number, err := t.take()
	if err != nil {
		return err
	}
	t.change(key.lo, func() {
		t.unlink(key, func(*row) bool { return true })
		t.push(key, &Listing{}, 0, number)
	})
	return nil
}

// Remove takes an entry off a key.
func (t *Table) Remove(key Key, entry *spec.Hash) {
	t.writing.Lock()
	defer t.writing.Unlock()
	t.change(key.lo, func() {
		t.unlink(key, func(r *row) bool { return r.said() != 0 && r.entry() == *entry })
	})
}

// Clear takes all entries off a key, which need not be crowded any more then.
func (t *Table) Clear(key Key) {
	t.writing.Lock()
	defer t.writing.Unlock()
	t.change(key.lo, func() { t.unlink(key, func(*row) bool { return true }) })
}

// unlink frees the rows of a key for which gone is true.
func (t *Table) unlink(key Key, gone func(*row) bool) {
	head := t.head(key.lo)
	var before *row
	for n := *head; n != 0; {
		r := t.row(n)
		number, next := n, r.next()
		n = next
		if !r.is(key) || !gone(r) {
			before = r
			continue
		}
		if before == nil {
			atomic.StoreUint32(head, next)
		} else {
			before.link(before.said(), next)
		}
		t.said.drop(r.said())
		t.free = append(t.free, number)
		t.count--
	}
}

// take returns the number of a row to use, one more than its place.
func (t *Table) take() (number uint32, err error) {
	if last := len(t.free) - 1; last >= 0 {
		number, t.free = t.free[last], t.free[:last]
		return number, nil
	}
	first, err := t.takeMany(1)
	return first, err
}

func (t *Table) takeMany(n uint64) (first uint32, err error) {
	if t.taken+n >= 1<<32 {
		return 0, ErrFull
	}
	if err := t.rows.Reach(t.taken + n); err != nil {
		return 0, errors.Join(ErrFull, err)
	}
	t.taken += n
	return uint32(t.taken - n + 1), nil
}

// grow splits heads until there are enough again: at most two for one listing more.
// Without memory for another, longer ways will do.
func (t *Table) grow() {
	for range 2 {
		size := t.size.Load()
		if t.count*headNum <= size*headDen || t.heads.Reach(size+1) != nil {
			return
		}
		from := size &^ (1 << (bits.Len64(size) - 1))
		t.change(from, func() { t.split(from, size) })
	}
}

// split moves the rows of a head that belong to a new one.
func (t *Table) split(from, size uint64) {
	var heads [2]uint32
	for n := *t.heads.At(from); n != 0; {
		r := t.row(n)
		number, next := n, r.next()
		n = next
		side := 0
		if place(r[0], size+1) != from {
			side = 1
		}
		r.link(r.said(), heads[side])
		heads[side] = number
	}
	atomic.StoreUint32(t.heads.At(from), heads[0])
	atomic.StoreUint32(t.heads.At(size), heads[1])
	t.size.Store(size + 1)
}
