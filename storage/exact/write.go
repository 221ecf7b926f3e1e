// SPDX-License-Identifier: Apache-2.0

package exact

import (
	"errors"
	"math/bits"
)

// The average number of keys in a bucket is loadNum/loadDen: 2.4 of 4, so that
// about one bucket in ten spills.
const (
	loadNum = 12
	loadDen = 5
)

// ErrFull says that there is no memory for another key.
var ErrFull = errors.New("the exact table is out of memory")

// place returns the bucket of a fingerprint in a table of size buckets (linear
// hashing; Litwin, VLDB 1980).
func place(lo, size uint64) uint64 {
	mask := uint64(1)<<(bits.Len64(size)&63) - 1
	_, below := bits.Sub64(lo&mask, size, 0)
	return lo & (mask>>1 | mask&-below) // without a jump, which would be a guess
}

// Add lists key and reports whether it was not listed before. It panics with
// ErrFull when the system has no memory left: a table that misses a key would
// answer wrongly.
func (t *Table) Add(key *[32]byte) (added bool) {
	f := t.secret.fingerprint(key)
	t.writing.Lock()
	defer t.writing.Unlock()
	return t.add(f)
}

// AddBatch lists many keys, several times as fast as one by one, and returns
// how many were not listed before.
func (t *Table) AddBatch(keys [][32]byte) (added int) {
	t.writing.Lock()
	defer t.writing.Unlock()
	t.inGroups(keys, func(_ int, fs []fingerprint) {
		for _, f := range fs {
			if t.add(f) {
				added++
			}
		}
	})
	return added
}

// Remove takes key out and reports whether it was listed.
func (t *Table) Remove(key *[32]byte) (removed bool) {
	f := t.secret.fingerprint(key)
	t.writing.Lock()
	defer t.writing.Unlock()
	at := place(f.lo, t.size.Load())
	t.chain(at, func(b *bucket) bool {
		for i := range slots {
			if have, taken := b.slot(i, at); taken && have == f {
				b.unset(i)
				removed = true
			}
		}
		return !removed
	})
	t.sift(t.buckets.bucket(at), at)
	if removed {
		t.count.Add(-1)
	}
	return removed
}

func (t *Table) add(f fingerprint) (added bool) {
	at := place(f.lo, t.size.Load())
	if t.in(f, at) {
		return false
	}
	if err := t.put(f, at); err != nil {
		panic(err)
	}
	if n := t.count.Add(1); uint64(n)*loadDen > t.size.Load()*loadNum {
		t.split()
	}
	return true
}

// chain calls yield for bucket at and those that it spilled into, until it
// returns false. It returns the last one.
func (t *Table) chain(at uint64, yield func(b *bucket) bool) (last *bucket) {
	for b := t.buckets.bucket(at); b != nil; {
		last = b
		link := b.link()
		if !yield(b) || link == 0 {
			break
		}
		b = t.spill.bucket(link)
	}
	return last
}

// put puts f into the first free slot of bucket at or of what it spilled.
func (t *Table) put(f fingerprint, at uint64) error {
	done, behind := false, false
	last := t.chain(at, func(b *bucket) bool {
		for i := range slots {
			if _, taken := b.slot(i, at); !taken {
				b.set(i, f)
				done = true
				return false
			}
		}
		behind = true
		return true
	})
	if !done {
		link, err := t.newSpill()
		if err != nil {
			return err
		}
		t.spill.bucket(link).set(0, f)
		last.setLink(link)
	}
	if behind {
		t.sift(t.buckets.bucket(at), at)
	}
	return nil
}

// sift makes the sieves of b and of what it spilled say what stands behind each. What
// is there all the time always passes. It returns what stands in b and behind.
func (t *Table) sift(b *bucket, at uint64) (all sieve) {
	if link := b.link(); link != 0 {
		all = t.sift(t.spill.bucket(link), at)
		b.setSieve(all)
	}
	for i := range slots {
		if f, taken := b.slot(i, at); taken {
			all |= f.sieve()
		}
	}
	return all
}

func (t *Table) newSpill() (link uint64, err error) {
	if t.spilled == maxLink {
		return 0, ErrFull
	}
	if err := t.spill.reach(t.spilled + 1); err != nil {
		return 0, errors.Join(ErrFull, err)
	}
	t.spilled++
	return t.spilled - 1, nil
}

// split moves about half of the keys of the next bucket to a new one at the
// end. The doc of has says why a reader misses none of them. Without memory
// for it, fuller buckets will do.
func (t *Table) split() {
	size := t.size.Load()
	if t.buckets.reach(size+1) != nil {
		return
	}
	from := size &^ (1 << (bits.Len64(size) - 1))
	stays := func(f fingerprint) bool { return place(f.lo, size+1) == from }
	ok := true
	t.chain(from, func(b *bucket) bool {
		for i := range slots {
			if f, taken := b.slot(i, from); taken && !stays(f) {
				ok = ok && t.put(f, size) == nil
			}
		}
		return ok
	})
	if !ok {
		t.empty(size)
		return
	}
	t.size.Store(size + 1)
	t.chain(from, func(b *bucket) bool {
		for i := range slots {
			if f, taken := b.slot(i, from); taken && !stays(f) {
				b.unset(i)
			}
		}
		return true
	})
	t.sift(t.buckets.bucket(from), from)
}

// empty clears a bucket that no reader reaches.
func (t *Table) empty(at uint64) {
	t.chain(at, func(b *bucket) bool {
		for i := range slots {
			b.unset(i)
		}
		b.setSieve(0)
		return true
	})
}
