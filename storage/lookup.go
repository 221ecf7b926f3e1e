// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"cmp"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage/nearby"
)

// A Hit is one entry that a signal found.
type Hit struct {
	Type      string // of the signal that matched
	Distance  int
	Threshold int
	Entry     spec.LiveMeta
}

// maxHits bounds the answer to one lookup.
const maxHits = 1000

// Lookup finds the matchable entries that list one of the signals, or, for types
// that match within a distance, a signal within the type's threshold: each entry
// once, nearest first. truncated says that there were more than could be
// answered.
func (s *Store) Lookup(signals []spec.Signal) (hits []Hit, truncated bool, err error) {
	for _, q := range signals {
		if err := q.Check(); err != nil {
			return nil, false, err
		}
	}
	err = s.read(func(d *database) error {
		var r lookup
		r.d = d
		for _, q := range signals {
			if err := r.one(q); err != nil {
				return err
			}
		}
		hits, truncated = r.answer()
		return nil
	})
	return hits, truncated, err
}

type lookup struct {
	d         *database
	hits      []Hit
	truncated bool
}

func (r *lookup) one(q spec.Signal) error {
	t, _ := spec.SignalTypeOf(q.Type)
	if q.Type != typeNear {
		k := q.Key()
		if !r.d.exact.Has((*[32]byte)(&k)) {
			return nil
		}
		return r.entries(k, q.Type, 0, 0)
	}
	matches, truncated := r.d.near.Search((*[32]byte)(q.Value), t.Threshold, nil)
	r.truncated = r.truncated || truncated
	matches = slices.CompactFunc(matches, func(a, b nearby.Match) bool { return a.Hash == b.Hash })
	for _, m := range matches {
		near := spec.Signal{Type: q.Type, Value: m.Hash[:]}
		if err := r.entries(near.Key(), q.Type, m.Distance, t.Threshold); err != nil {
			return err
		}
	}
	return nil
}

// entries adds the entries that list the signal of key k.
func (r *lookup) entries(k spec.Hash, typ string, distance, threshold int) error {
	it, err := r.d.pebble.NewIter(&pebble.IterOptions{LowerBound: livePrefix(k), UpperBound: after(livePrefix(k))})
	if err != nil {
		return err
	}
	for it.First(); it.Valid(); it.Next() {
		l, err := parseLive(it.Key(), it.Value())
		if err != nil {
			return errors.Join(err, it.Close())
		}
		meta, err := l.meta()
		if err != nil {
			return errors.Join(err, it.Close())
		}
		r.hits = append(r.hits, Hit{Type: typ, Distance: distance, Threshold: threshold, Entry: meta})
	}
	return errors.Join(it.Error(), it.Close())
}

// answer keeps the nearest hit of each entry.
func (r *lookup) answer() ([]Hit, bool) {
	slices.SortStableFunc(r.hits, func(a, b Hit) int {
		return cmp.Or(slices.Compare(a.Entry.Entry[:], b.Entry.Entry[:]), cmp.Compare(a.Distance, b.Distance))
	})
	hits := slices.CompactFunc(r.hits, func(a, b Hit) bool { return a.Entry.Entry == b.Entry.Entry })
	slices.SortStableFunc(hits, func(a, b Hit) int { return cmp.Compare(a.Distance, b.Distance) })
	if len(hits) > maxHits {
		return hits[:maxHits], true
	}
	return hits, r.truncated
}
