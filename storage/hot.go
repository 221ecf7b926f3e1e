// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"sync"
)

// maxHot bounds how many records are kept in memory between batches.
const maxHot = 1 << 13

// hot are the records that batches read or wrote lately, nil for one that is not
// there, as of the last commit. It belongs to the writer.
type hot map[string][]byte

// keep takes over what a batch saw and changed.
func (h hot) keep(seen map[string][]byte) {
	if len(h)+len(seen) > maxHot {
		clear(h)
	}
	if len(seen) > maxHot {
		return
	}
	for k, v := range seen {
		h[k] = v
	}
}

// maxDecoded bounds how many records are kept decoded.
const maxDecoded = 1 << 12

// decoded keeps the decoded form of records that are asked for again and again,
// as of the last commit.
type decoded struct {
	mu     sync.Mutex
	values map[string]any
	turn   uint64 // commits so far
}

func (d *decoded) get(key []byte) (v any, found bool, turn uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, found = d.values[string(key)]
	return v, found, d.turn
}

// put keeps what was decoded unless there was a commit since turn, which may have
// changed the record.
func (d *decoded) put(key []byte, v any, turn uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.turn != turn {
		return
	}
	if d.values == nil || len(d.values) >= maxDecoded {
		d.values = map[string]any{}
	}
	d.values[string(key)] = v
}

// committed forgets the records that a batch changed.
func (d *decoded) committed(changed map[string][]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turn++
	for k := range d.values {
		if _, ok := changed[k]; ok {
			delete(d.values, k)
		}
	}
}

// Decoded returns what decode makes of the record under key (nil: there is none),
// from memory while the record does not change. The result is shared: it must not
// be changed.
func (s *Store) Decoded(key []byte, decode func(value []byte) (any, error)) (v any, err error) {
	err = s.read(func(d *database) error {
		var found bool
		var turn uint64
		if v, found, turn = d.decoded.get(key); found {
			return nil
		}
		raw, err := get(d.pebble, recordKey(key))
		if err != nil {
			return err
		}
		if v, err = decode(raw); err == nil {
			d.decoded.put(key, v, turn)
		}
		return err
	})
	return v, err
}

// Decoded is the same for the records as changed so far.
func (t *Tx) Decoded(key []byte, decode func(value []byte) (any, error)) (any, error) {
	if raw, changed := t.changed[string(key)]; changed {
		return decode(raw)
	}
	v, found, turn := t.d.decoded.get(key)
	if found {
		return v, nil
	}
	raw, err := t.Record(key)
	if err != nil {
		return nil, err
	}
	if v, err = decode(raw); err == nil {
		t.d.decoded.put(key, v, turn)
	}
	return v, err
}
