// SPDX-License-Identifier: Apache-2.0

// Package exact answers from memory whether a 32-byte key (a SHA-256, or the
// SHA-256 of any other exact signal's type and value) is listed.
//
// The table is a set: adding twice and removing twice do no harm. Who owns
// the durable store removes a key when the last entry that lists it goes.
package exact

import "sync"

// Table is a set of keys. Any number of goroutines may ask while one adds and
// removes.
type Table struct {
	mu   sync.RWMutex
	keys map[[32]byte]struct{}
}

// New makes an empty table with room for about capacityHint keys; it grows as
// needed.
func New(capacityHint int) *Table {
	return &Table{keys: make(map[[32]byte]struct{}, capacityHint)}
}

// Len returns the number of keys.
func (t *Table) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.keys)
}

// Add lists key and reports whether it was not listed before.
func (t *Table) Add(key *[32]byte) (added bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, old := t.keys[*key]
	t.keys[*key] = struct{}{}
	return !old
}

// Remove takes key out and reports whether it was listed.
func (t *Table) Remove(key *[32]byte) (removed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, old := t.keys[*key]
	delete(t.keys, *key)
	return old
}

// Has reports whether key is listed.
func (t *Table) Has(key *[32]byte) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	_, ok := t.keys[*key]
	return ok
}

// HasBatch writes 1 to out[i] if keys[i] is listed and 0 if not. It panics
// when out is shorter than keys.
func (t *Table) HasBatch(keys [][32]byte, out []byte) {
	out = out[:len(keys)]
	for i := range keys {
		out[i] = 0
		if t.Has(&keys[i]) {
			out[i] = 1
		}
	}
}
