// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
)

// An entryReader finds the entries that list a value: those that are remembered, or
// else with one iterator over the live signals.
type entryReader struct {
	d       *database
	it      *pebble.Iterator // once one was read
	commits uint64           // before it was opened
}

// of fills in the entries that list a value.
func (r *entryReader) of(n *nearHit) (err error) {
	if n.known {
		return nil
	}
	if n.listed, n.known = r.d.remembered.get(n.typ.Name, n.value); n.known {
		return nil
	}
	k := spec.Signal{Type: n.typ.Name, Value: n.value}.Key()
	return r.read(n, &k)
}

// read fills in the entries that list a value from the records under its key.
func (r *entryReader) read(n *nearHit, k *spec.Hash) error {
	if err := r.open(); err != nil {
		return err
	}
	prefix := livePrefix(*k)
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
	if err := r.it.Error(); err != nil {
		return err
	}
	n.known = true
	r.d.remembered.put(n.typ.Name, n.value, k, n.listed, r.commits)
	return nil
}

func (r *entryReader) open() (err error) {
	if r.it == nil {
		r.commits = r.d.remembered.commits.Load()
		r.it, err = r.d.pebble.NewIter(tableBounds(tableLive, nil, nil))
	}
	return err
}

func (r *entryReader) close() {
	if r.it != nil {
		_ = r.it.Close() // its error was looked at after every read
	}
}

// A keyedHit is a near hit whose entries are to be read.
type keyedHit struct {
	k   spec.Hash
	hit *nearHit
}

// readAhead reads the entries that several queries will ask for in the order of
// their keys, so that the iterator goes on rather than to and fro.
func (l *lookup) readAhead() error {
	if len(l.queries) == 1 {
		return nil
	}
	var wanted []keyedHit
	for i := range l.queries {
		q := &l.queries[i]
		wanted = l.want(wanted, q.near[:min(len(q.near), maxHits)])
		wanted = l.want(wanted, q.frames)
	}
	slices.SortFunc(wanted, func(a, b keyedHit) int { return bytes.Compare(a.k[:], b.k[:]) })
	for i := range wanted {
		w := &wanted[i]
		if i > 0 && wanted[i-1].k == w.k {
			w.hit.listed, w.hit.known = wanted[i-1].hit.listed, true
			continue
		}
		if err := l.entries.read(w.hit, &w.k); err != nil {
			return err
		}
	}
	return nil
}

// want appends those of hits that are not remembered.
func (l *lookup) want(wanted []keyedHit, hits []nearHit) []keyedHit {
	for i := range hits {
		n := &hits[i]
		if n.listed, n.known = l.d.remembered.get(n.typ.Name, n.value); !n.known {
			wanted = append(wanted, keyedHit{spec.Signal{Type: n.typ.Name, Value: n.value}.Key(), n})
		}
	}
	return wanted
}
