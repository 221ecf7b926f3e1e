// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage/entries"
)

// An entryReader finds the entries that list a value: from memory, or where many
// list it with one iterator over the live signals.
type entryReader struct {
	d      *database
	it     *pebble.Iterator // once one was read
	listed []spec.LiveMeta  // the last
}

// readAhead is how many values are on their way from memory at once.
const readAhead = 16

// each calls yield with the entries that list each value, until it returns false. The
// list holds until yield returns.
func (r *entryReader) each(hits []nearHit, yield func(n *nearHit, listed []spec.LiveMeta) bool) error {
	var keys [readAhead]entries.Key
	t := r.d.entries
	for len(hits) > 0 {
		group := hits[:min(readAhead, len(hits))]
		for i := range group {
			keys[i] = r.d.entriesKey(group[i].group.typ.Name, group[i].value)
			t.Ahead(keys[i])
		}
		for i := range group {
			t.AheadRow(keys[i])
		}
		for i := range group {
			if err := r.of(&group[i], keys[i]); err != nil {
				return err
			}
			if !yield(&group[i], r.listed) {
				return nil
			}
		}
		hits = hits[len(group):]
	}
	return nil
}

// of makes listed the entries that list a value.
func (r *entryReader) of(n *nearHit, key entries.Key) (err error) {
	var known bool
	if r.listed, known = r.d.entries.Of(key, r.listed[:0]); known {
		return nil
	}
	return r.read(spec.Signal{Type: n.group.typ.Name, Value: n.value}.Key())
}

// read makes listed the entries of the records under a key.
func (r *entryReader) read(k spec.Hash) error {
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
		r.listed = append(r.listed, m)
	}
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
