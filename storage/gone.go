// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/binary"

	"github.com/tocsin-db/tocsin/spec"
)

// A GoneError is asked for a part of the log that this store never had, since it
// began with a snapshot. Its code is GONE.
type GoneError struct {
	First uint64 // the least size from which on the log is held
}

func (e *GoneError) Error() string { return e.Unwrap().Error() }

// Unwrap returns the coded error.
func (e *GoneError) Unwrap() error {
	return spec.Errorf(spec.CodeGone, "this node holds the log from size %d on only; a node that followed from the beginning has all of it", e.First)
}

// First is the size from which on the store holds the log, and the leaf before it: 0
// unless it began with a snapshot.
func (s *Store) First() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.db.first
}

func (d *database) loadFirst() error {
	b, err := get(d.pebble, firstKey)
	if err != nil || b == nil {
		return err
	}
	if len(b) != 8 {
		return spec.Errorf(spec.CodeCorrupt, "where the log begins cannot be read")
	}
	d.first = binary.BigEndian.Uint64(b)
	return nil
}
