// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage/nearby"
)

// A Hit is one entry that a signal found.
type Hit struct {
	Type      string // of the signal that matched
	Distance  int
	Threshold int
	Entry     spec.LiveMeta // shared: its labels must not be changed
}

// Found is what one query found: each entry once, nearest first. Truncated says
// that there were more than could be answered.
type Found struct {
	Hits      []Hit
	Truncated bool
}

// maxHits bounds each part of the answer to one query: of a picture that is listed a
// thousand times, nearly the same, the nearest say all that a decision needs.
const maxHits = 100

// A Split says of what an entry counts as to whoever asks, before anything is cut off:
// what does not count takes no place from what does. Of is called while indexes are
// read, and must be quick.
type Split struct {
	Parts int                        // of an answer, each with at most a hundred entries: 1 to maxParts
	Of    func(m *spec.LiveMeta) int // the part of an entry, from 0 on; below 0 for one that is left out
}

const maxParts = 2

// all takes every entry.
var all = Split{Parts: 1, Of: func(*spec.LiveMeta) int { return 0 }}

// Lookup finds the matchable entries that list one of the signals, or, for types
// that match within a distance, a signal within the type's threshold.
func (s *Store) Lookup(signals []spec.Signal) (hits []Hit, truncated bool, err error) {
	found, err := s.LookupAll([][]spec.Signal{signals})
	if err != nil {
		return nil, false, err
	}
	return found[0].Hits, found[0].Truncated, nil
}

// LookupAll answers each query as Lookup would, in their order. Many at once are
// faster than one after the other: each index is asked once, with all cores, and
// records are read in the order in which they lie.
func (s *Store) LookupAll(queries [][]spec.Signal) ([]Found, error) {
	return s.LookupSplit(queries, all)
}

// LookupSplit is LookupAll of the entries that a split lets through, the nearest of
// each of its parts.
func (s *Store) LookupSplit(queries [][]spec.Signal, split Split) (found []Found, err error) {
	if split.Parts < 1 || split.Parts > maxParts {
		return nil, fmt.Errorf("a split has 1 to %d parts, not %d", maxParts, split.Parts)
	}
	for _, signals := range queries {
		for i := range signals {
			if err := signals[i].Check(); err != nil {
				return nil, err
			}
		}
	}
	err = s.read(func(d *database) error {
		l := beginLookup(d, len(queries), split)
		defer l.end()
		l.search(queries)
		found = make([]Found, len(queries))
		for i := range l.queries {
			if found[i], err = l.resolve(&l.queries[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return found, err
}

// typeFrame is the signal type of one frame of a video. The frames of a query are
// those of one video.
const typeFrame = "vpdq"

// A lookup is a call under way. Its memory is used again by the next.
type lookup struct {
	d       *database
	split   Split
	queries []query
	matches []nearby.Match // that the hits are of
	entries entryReader
}

var lookups = sync.Pool{New: func() any { return new(lookup) }}

// Bounds of the memory that a lookup leaves to the next.
const (
	keptQueries = 16
	keptMatches = 1 << 13
)

func beginLookup(d *database, n int, split Split) *lookup {
	l := lookups.Get().(*lookup)
	l.d, l.entries.d, l.split = d, d, split
	l.queries = slices.Grow(l.queries[:0], n)[:n]
	return l
}

func (l *lookup) end() {
	l.entries.close()
	if len(l.queries) > keptQueries || cap(l.matches) > keptMatches {
		return
	}
	for i := range l.queries {
		q := &l.queries[i]
		clear(q.near)
		clear(q.frames)
		*q = query{near: q.near[:0], frames: q.frames[:0]}
	}
	l.d, l.split, l.matches = nil, Split{}, l.matches[:0]
	clear(l.entries.listed)
	l.entries = entryReader{listed: l.entries.listed[:0]}
	lookups.Put(l)
}

// A query is what one query found so far.
type query struct {
	near      []nearHit // except of frames
	frames    []nearHit
	asked     int // different frames
	hits      []Hit
	taken     [maxParts]int          // hits of each part
	known     map[spec.Hash]struct{} // the entries of hits, once they are many
	truncated bool
}

// A nearHit is a listed value near one that was asked for.
type nearHit struct {
	group    *signalGroup
	value    []byte
	distance int32
	signal   int32 // of the query
}

// search asks the indexes for what is near the signals and equal to them.
func (l *lookup) search(queries [][]spec.Signal) {
	for _, g := range groupSignals(queries) {
		exact := make([]bool, len(g.values))
		if g.finder = l.d.finders[g.typ.Name]; g.finder != nil {
			g.search(l, exact)
		}
		if g.typ.Name == typeFrame && !l.d.keyed {
			continue // each frame that is listed is found by its finder
		}
		l.d.exact.hasAll(g, exact)
		for i, here := range exact {
			if here { // and what a finder did not find matches itself all the same
				g.take(l, i, g.values[i], 0)
			}
		}
	}
	for i := range l.queries {
		if near := l.queries[i].near; !slices.IsSortedFunc(near, nearer) {
			slices.SortStableFunc(near, nearer)
		}
	}
}

func nearer(a, b nearHit) int {
	return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.signal, b.signal))
}

// A signalGroup is the signals of one type in all queries.
type signalGroup struct {
	typ    spec.SignalType
	values [][]byte
	at     []signalPlace // of each value
	finder finder
}

type signalPlace struct{ query, signal int }

// groupSignals sorts signals by type. Frames that are the same count once in a
// query.
func groupSignals(queries [][]spec.Signal) (groups []*signalGroup) {
	var g *signalGroup
	for q, signals := range queries {
		var frames map[string]bool
		for i := range signals {
			s := &signals[i]
			if s.Type == typeFrame {
				if frames[string(s.Value)] {
					continue
				}
				if frames == nil {
					frames = map[string]bool{}
				}
				frames[string(s.Value)] = true
			}
			if g == nil || g.typ.Name != s.Type {
				g, groups = groupOf(groups, s.Type)
			}
			g.values, g.at = append(g.values, s.Value), append(g.at, signalPlace{q, i})
		}
	}
	return groups
}

func groupOf(groups []*signalGroup, typ string) (*signalGroup, []*signalGroup) {
	for _, g := range groups {
		if g.typ.Name == typ {
			return g, groups
		}
	}
	t, _ := spec.SignalTypeOf(typ)
	g := &signalGroup{typ: t}
	return g, append(groups, g)
}

// search asks the type's finder. exact[i] becomes true for values that it found
// itself.
func (g *signalGroup) search(l *lookup, exact []bool) {
	if g.typ.Name == typeFrame {
		for _, at := range g.at {
			l.queries[at.query].asked++
		}
	}
	l.matches = g.finder.searchAll(g.values, l.matches, func(i int, found []byte, distance int) {
		exact[i] = exact[i] || distance == 0 && bytes.Equal(found, g.values[i])
		g.take(l, i, found, distance)
	}, func(i int) { l.queries[g.at[i].query].truncated = true })
}

// take notes what was found of value i.
func (g *signalGroup) take(l *lookup, i int, found []byte, distance int) {
	q := &l.queries[g.at[i].query]
	n := nearHit{group: g, value: found, distance: int32(distance), signal: int32(g.at[i].signal)}
	if g.typ.Name == typeFrame {
		q.frames = append(q.frames, n)
	} else {
		q.near = append(q.near, n)
	}
}

// resolve says what is known of the entries of what a query found, nearest first,
// until every part of the answer is full.
func (l *lookup) resolve(q *query) (Found, error) {
	if most := min(len(q.near), maxHits); most > 0 {
		q.hits = make([]Hit, 0, most)
	}
	err := l.entries.each(q.near, func(n *nearHit, listed []spec.LiveMeta) bool {
		if q.full(l.split.Parts) {
			q.truncated = true
			return false
		}
		before := q.taken
		for i := range listed {
			m := &listed[i]
			part := l.split.Of(m)
			if part < 0 || q.hit(&m.Entry) { // by something nearer, or as near
				continue
			}
			if before[part] >= maxHits {
				q.truncated = true
				continue
			}
			q.taken[part]++
			q.hits = append(q.hits, Hit{Type: n.group.typ.Name, Distance: int(n.distance), Threshold: n.group.typ.Threshold, Entry: *m})
		}
		return true
	})
	if err != nil {
		return Found{}, err
	}
	if len(q.frames) == 0 {
		q.order()
		return l.cut(q), nil
	}
	if err := l.video(q); err != nil {
		return Found{}, err
	}
	q.orderAll()
	return l.cut(q), nil
}

// full reports whether nothing more is taken of any part.
func (q *query) full(parts int) bool {
	return !slices.ContainsFunc(q.taken[:parts], func(n int) bool { return n < maxHits })
}

// fewHits are compared with faster than a map is asked.
const fewHits = 16

// hit reports whether an entry was hit before.
func (q *query) hit(entry *spec.Hash) bool {
	if len(q.hits) < fewHits {
		return slices.ContainsFunc(q.hits, func(h Hit) bool { return h.Entry.Entry == *entry })
	}
	if q.known == nil {
		q.known = map[spec.Hash]struct{}{}
		for i := range q.hits {
			q.known[q.hits[i].Entry.Entry] = struct{}{}
		}
	}
	_, known := q.known[*entry]
	q.known[*entry] = struct{}{}
	return known
}

// video finds the entries that have a frame near enough to at least the share of
// the query's frames that the type's threshold asks for.
func (l *lookup) video(q *query) error {
	type seen struct {
		meta   spec.LiveMeta
		frames int   // of the query, with a listed one near
		last   int32 // the last frame counted
	}
	found := map[spec.Hash]*seen{}
	err := l.entries.each(q.frames, func(n *nearHit, listed []spec.LiveMeta) bool {
		for i := range listed {
			m := &listed[i]
			s := found[m.Entry]
			if s == nil && l.split.Of(m) < 0 {
				continue
			}
			if s == nil {
				s = &seen{meta: *m, last: -1}
				found[m.Entry] = s
			}
			if s.last != n.signal {
				s.frames, s.last = s.frames+1, n.signal
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, s := range found {
		missing := (100*(q.asked-s.frames) + q.asked - 1) / q.asked // rounded up: 79.1 per cent found is not 80
		if missing <= threshold(typeFrame) {
			q.hits = append(q.hits, Hit{Type: typeFrame, Distance: missing, Threshold: threshold(typeFrame), Entry: s.meta})
		}
	}
	return nil
}

// order puts hits of which each is of another entry in their order.
func (q *query) order() {
	byDistance := func(a, b Hit) int {
		return cmp.Or(cmp.Compare(a.Distance, b.Distance), bytes.Compare(a.Entry.Entry[:], b.Entry.Entry[:]))
	}
	if !slices.IsSortedFunc(q.hits, byDistance) {
		slices.SortFunc(q.hits, byDistance)
	}
}

// orderAll keeps the nearest hit of each entry.
func (q *query) orderAll() {
	slices.SortStableFunc(q.hits, func(a, b Hit) int {
		return cmp.Or(bytes.Compare(a.Entry.Entry[:], b.Entry.Entry[:]), cmp.Compare(a.Distance, b.Distance))
	})
	q.hits = slices.CompactFunc(q.hits, func(a, b Hit) bool { return a.Entry.Entry == b.Entry.Entry })
	slices.SortStableFunc(q.hits, func(a, b Hit) int { return cmp.Compare(a.Distance, b.Distance) })
}

// cut leaves of each part what an answer may hold.
func (l *lookup) cut(q *query) Found {
	if len(q.hits) <= maxHits {
		return Found{q.hits, q.truncated}
	}
	var taken [maxParts]int
	kept := q.hits[:0]
	for i := range q.hits {
		part := l.split.Of(&q.hits[i].Entry)
		if taken[part]++; taken[part] <= maxHits {
			kept = append(kept, q.hits[i])
		} else {
			q.truncated = true
		}
	}
	return Found{kept, q.truncated}
}
