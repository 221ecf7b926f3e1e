// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
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
		r := lookup{d: d}
		var frames []spec.Signal
		for _, q := range signals {
			if q.Type == typeFrame {
				frames = append(frames, q)
			} else if err := r.one(q); err != nil {
				return err
			}
		}
		if err := r.video(frames); err != nil {
			return err
		}
		hits, truncated = r.answer()
		return nil
	})
	return hits, truncated, err
}

// typeFrame is the signal type of one frame of a video. The frames of a query are
// those of one video.
const typeFrame = "vpdq"

type lookup struct {
	d         *database
	hits      []Hit
	truncated bool
}

// one finds what one signal finds: by equality, and within its type's threshold.
func (r *lookup) one(q spec.Signal) error {
	t, _ := spec.SignalTypeOf(q.Type)
	f := r.d.finders[q.Type]
	if f == nil {
		return r.equal(q, t.Threshold)
	}
	var failed error
	exact := false
	truncated := f.search(q.Value, func(found []byte, distance int) {
		near := spec.Signal{Type: q.Type, Value: found}
		exact = exact || bytes.Equal(found, q.Value)
		if failed == nil {
			failed = r.entries(near.Key(), func(m spec.LiveMeta) {
				r.hits = append(r.hits, Hit{Type: q.Type, Distance: distance, Threshold: t.Threshold, Entry: m})
			})
		}
	})
	r.truncated = r.truncated || truncated
	if failed == nil && !exact {
		failed = r.equal(q, t.Threshold) // what a finder does not hold matches itself all the same
	}
	return failed
}

func (r *lookup) equal(q spec.Signal, threshold int) error {
	if !r.d.exact.has(q) {
		return nil
	}
	return r.entries(q.Key(), func(m spec.LiveMeta) {
		r.hits = append(r.hits, Hit{Type: q.Type, Threshold: threshold, Entry: m})
	})
}

// video finds the entries that have a frame near enough to at least the share of
// the query's frames that the type's threshold asks for.
func (r *lookup) video(frames []spec.Signal) error {
	type seen struct {
		meta   spec.LiveMeta
		frames int // of the query, with a listed one near
		last   int // the last frame counted
	}
	found := map[spec.Hash]*seen{}
	total := 0
	asked := map[string]bool{}
	for i, q := range frames {
		if asked[string(q.Value)] {
			continue
		}
		asked[string(q.Value)] = true
		total++
		var failed error
		truncated := r.d.finders[typeFrame].search(q.Value, func(value []byte, _ int) {
			near := spec.Signal{Type: typeFrame, Value: value}
			if failed == nil {
				failed = r.entries(near.Key(), func(m spec.LiveMeta) {
					s := found[m.Entry]
					if s == nil {
						s = &seen{meta: m, last: -1}
						found[m.Entry] = s
					}
					if s.last != i {
						s.frames, s.last = s.frames+1, i
					}
				})
			}
		})
		r.truncated = r.truncated || truncated
		if failed != nil {
			return failed
		}
	}
	for _, s := range found {
		missing := (100*(total-s.frames) + total - 1) / total // rounded up: 79.1 per cent found is not 80
		if missing <= threshold(typeFrame) {
			r.hits = append(r.hits, Hit{Type: typeFrame, Distance: missing, Threshold: threshold(typeFrame), Entry: s.meta})
		}
	}
	return nil
}

// entries calls fn with what is listed of the signal of key k, by each entry.
func (r *lookup) entries(k spec.Hash, fn func(spec.LiveMeta)) error {
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
		fn(meta)
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
