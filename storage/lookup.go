// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"cmp"
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

// maxHits bounds the answer to one lookup: of a picture that is listed a thousand
// times, nearly the same, the nearest say all that a decision needs.
const maxHits = 100

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
			} else {
				r.one(q)
			}
		}
		defer r.close()
		if err := r.resolve(); err != nil {
			return err
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
	near      []nearHit // whose entries were not read yet
	hits      []Hit
	truncated bool
	it        *pebble.Iterator // over the live signals, once one was read
}

// A nearHit is a listed value near one that was asked for.
type nearHit struct {
	typ       spec.SignalType
	value     []byte
	distance  int
	threshold int
}

// one finds what one signal finds: by equality, and within its type's threshold.
func (r *lookup) one(q spec.Signal) {
	t, _ := spec.SignalTypeOf(q.Type)
	exact := false
	if f := r.d.finders[q.Type]; f != nil {
		truncated := f.search(q.Value, func(found []byte, distance int) {
			exact = exact || distance == 0 && bytes.Equal(found, q.Value)
			r.near = append(r.near, nearHit{t, found, distance, t.Threshold})
		})
		r.truncated = r.truncated || truncated
	}
	if !exact && r.d.exact.has(q) { // what a finder does not hold matches itself all the same
		r.near = append(r.near, nearHit{t, q.Value, 0, t.Threshold})
	}
}

// resolve reads the entries of what was found, nearest first, until the answer is
// full.
func (r *lookup) resolve() error {
	slices.SortStableFunc(r.near, func(a, b nearHit) int { return cmp.Compare(a.distance, b.distance) })
	entries := map[spec.Hash]struct{}{}
	for _, n := range r.near {
		if len(entries) >= maxHits {
			r.truncated = true
			return nil
		}
		key := spec.Signal{Type: n.typ.Name, Value: n.value}.Key()
		err := r.entries(key, func(m spec.LiveMeta) {
			if _, known := entries[m.Entry]; known {
				return // by something nearer, or as near
			}
			entries[m.Entry] = struct{}{}
			r.hits = append(r.hits, Hit{Type: n.typ.Name, Distance: n.distance, Threshold: n.threshold, Entry: m})
		})
		if err != nil {
			return err
		}
	}
	return nil
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
	if r.it == nil {
		it, err := r.d.pebble.NewIter(tableBounds(tableLive, nil, nil))
		if err != nil {
			return err
		}
		r.it = it
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
		fn(m)
	}
	return r.it.Error()
}

func (r *lookup) close() {
	if r.it != nil {
		_ = r.it.Close() // its error was looked at after every read
	}
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
