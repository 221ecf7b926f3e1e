// SPDX-License-Identifier: Apache-2.0

// Package exact answers from memory whether a 32-byte key (a SHA-256, or the
// SHA-256 of any other exact signal's type and value) is listed.
//
// The table is a set: adding twice and removing twice do no harm. Who owns
// the durable store removes a key when the last entry that lists it goes.
package exact

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// Table is a set of keys. Any number of goroutines may ask while others add
// and remove; asking takes no lock and is never waited for. The memory lies
// outside the garbage-collected heap and is given back when the Table is no
// longer reachable.
type Table struct {
	secret  secret
	size    atomic.Uint64 // buckets in use: 2^level + the next to split
	count   atomic.Int64
	buckets store // found by the key
	spill   store // found through a full bucket
	spilled uint64
	writing sync.Mutex
}

// New makes an empty table with room for about capacityHint keys. It grows one
// bucket at a time, whatever the hint was. It panics when not even the first
// page of memory can be had.
func New(capacityHint int) *Table {
	t := &Table{secret: newSecret()}
	t.spilled = 1 // 0 says that there is no link
	size := max(firstBuckets, uint64(max(0, capacityHint))*loadDen/loadNum)
	for _, err := range []error{t.buckets.start(size), t.spill.start(1)} {
		if err != nil {
			panic(fmt.Errorf("exact: %w", err))
		}
	}
	t.size.Store(size)
	runtime.AddCleanup(t, (*areas).free, t.buckets.areas)
	runtime.AddCleanup(t, (*areas).free, t.spill.areas)
	return t
}

// Len returns the number of keys.
func (t *Table) Len() int { return int(t.count.Load()) }

// Memory returns how many bytes the table uses.
func (t *Table) Memory() int {
	t.writing.Lock()
	defer t.writing.Unlock()
	return int(t.size.Load()+t.spilled) * bucketBytes
}

// What lookWide says of a key.
const (
	lookAbsent = iota
	lookFound
	lookFurther // has tells
)

// Has reports whether key is listed.
func (t *Table) Has(key *[32]byte) bool {
	if wide {
		if said := lookWide(t, key); said != lookFurther {
			return said == lookFound
		}
	}
	return t.hasKey(key)
}

// hasKey is Has in Go.
func (t *Table) hasKey(key *[32]byte) bool {
	has := t.has(t.secret.fingerprint(key))
	runtime.KeepAlive(t)
	return has
}

// has looks f up. A key that is listed all the time is found whatever happens
// meanwhile: a bucket is split by copying what moves, then publishing the new
// size, then deleting what moved; so who saw nothing and still sees the size
// it began with has looked in the right place.
func (t *Table) has(f fingerprint) bool {
	size := t.size.Load()
	found, further := t.buckets.bucket(place(f.lo, size)).look(f)
	if found || !further && t.size.Load() == size {
		return found
	}
	return t.hasAfter(f)
}

// hasAfter is has where the first bucket does not tell.
func (t *Table) hasAfter(f fingerprint) bool {
	for size := t.size.Load(); ; {
		if t.in(f, place(f.lo, size)) {
			return true
		}
		now := t.size.Load()
		if now == size {
			return false
		}
		size = now
	}
}

// in looks for f in a bucket and what it spilled.
func (t *Table) in(f fingerprint, at uint64) bool {
	for b := t.buckets.bucket(at); b != nil; {
		found, further := b.look(f)
		if found {
			return true
		}
		link := b.link()
		if !further || link == 0 {
			return false
		}
		b = t.spill.bucket(link)
	}
	return false
}
