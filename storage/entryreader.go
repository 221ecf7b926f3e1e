// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
)

// An entryReader finds the entries that list a value: from memory, or where many
// list it with one iterator over the live signals.
type entryReader struct {
	d      *database
	it     *pebble.Iterator // once one was read
	listed []spec.LiveMeta  // of all values so far
}

// of fills in the entries that list a value.
func (r *entryReader) of(n *nearHit) (err error) {
	if n.known {
		return nil
	}
	before := len(r.listed)
	if r.listed, n.known = r.d.entries.Of(n.key, r.listed); n.known {
		n.listed = r.listed[before:len(r.listed):len(r.listed)]
		return nil
	}
	return r.read(n, spec.Signal{Type: n.typ.Name, Value: n.value}.Key())
}

// readAhead is how many values are on their way from memory at once.
const readAhead = 16

// ahead asks for what is in memory of values that of will be asked for. It is called
// with groups of readAhead.
func (r *entryReader) ahead(hits []nearHit) {
	for i := range hits {
		hits[i].key = r.d.entries.Key(hits[i].typ.Name, hits[i].value)
		r.d.entries.Ahead(hits[i].key)
	}
	for i := range hits {
		r.d.entries.AheadRow(hits[i].key)
	}
}

// read fills in the entries that list a value from the records under its key.
func (r *entryReader) read(n *nearHit, k spec.Hash) error {
	if err := r.open(); err != nil {
		return err
	}
	prefix := livePrefix(k)
	for ok := r.it.SeekGE(prefix); ok && bytes.HasPrefix(r.it.Key(), prefix); ok = r.it.Next() {
		v, ok := quickLive(r.it.Value())
		if !ok {
			return spec.Errorf(spec.CodeCorrupt, "a live signal cannot be decoded")
		}
		m, ok := quickMeta(v.Meta)
		if !ok {
			return spec.Errorf(spec.CodeCorrupt, "what a live signal says of its entry cannot be decoded")
		}
		n.listed = append(n.listed, m)
	}
	n.known = r.it.Error() == nil
	return r.it.Error()
}

func (r *entryReader) open() (err error) {
	if r.it == nil {
		r.it, err = r.d.pebble.NewIter(tableBounds(tableLive, nil, nil))
	}
	return err
}

func (r *entryReader) close() {
	if r.it != nil {
		_ = r.it.Close() // its error was looked at after every read
	}
}
