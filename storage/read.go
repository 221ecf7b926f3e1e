// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
)

// get returns a copy of the value under key, or nil when there is none. An empty
// value is not nil.
func get(r pebble.Reader, key []byte) ([]byte, error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the database: %w", err)
	}
	out := append(make([]byte, 0, len(v)), v...)
	return out, closer.Close()
}

// getCBOR decodes the value under key into out, leaving it alone when there is
// none.
func getCBOR(r pebble.Reader, key []byte, out any) error {
	b, err := get(r, key)
	if err != nil || b == nil {
		return err
	}
	if err := spec.Decode(b, out); err != nil {
		return spec.Errorf(spec.CodeCorrupt, "a value of the database cannot be decoded")
	}
	return nil
}

func find(r pebble.Reader, id spec.Hash) (uint64, bool, error) {
	b, err := get(r, operationKey(id))
	if err != nil || b == nil {
		return 0, false, err
	}
	if len(b) != 8 {
		return 0, false, spec.Errorf(spec.CodeCorrupt, "an operation's place in the log cannot be read")
	}
	return binary.BigEndian.Uint64(b), true, nil
}

func loadOpening(r pebble.Reader, id spec.Hash) (*spec.Opening, error) {
	b, err := get(r, openingKey(id))
	if err != nil || b == nil {
		return nil, err
	}
	o, err := spec.ParseOpening(b)
	if err != nil {
		return nil, spec.Errorf(spec.CodeCorrupt, "an opening in the database cannot be decoded")
	}
	return o, nil
}

func eachRecord(r pebble.Reader, prefix []byte, fn func(key, value []byte) bool) error {
	return eachRecordFrom(r, prefix, prefix, fn)
}

func eachRecordFrom(r pebble.Reader, prefix, from []byte, fn func(key, value []byte) bool) error {
	if bytes.Compare(from, prefix) < 0 {
		from = prefix
	}
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: recordKey(from), UpperBound: after(recordKey(prefix))})
	if err != nil {
		return fmt.Errorf("reading the database: %w", err)
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		if !fn(it.Key()[1:], it.Value()) {
			break
		}
	}
	return it.Error()
}

// countUnder returns how many keys begin with prefix.
func countUnder(r pebble.Reader, prefix []byte) (n int, err error) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return 0, err
	}
	for it.First(); it.Valid(); it.Next() {
		n++
	}
	return n, errors.Join(it.Error(), it.Close())
}
