// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"slices"
	"sync"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/chromaprint"
	"github.com/tocsin-db/tocsin/spec/tlsh"
	"github.com/tocsin-db/tocsin/storage/nearby"
	tlshindex "github.com/tocsin-db/tocsin/storage/nearby/tlsh"
)

// A finder answers which listed values of one type are within the type's
// threshold of another. It holds each value once, however many entries list it.
// Any number of goroutines may search while one adds and removes.
type finder interface {
	add(value []byte) error
	remove(value []byte)
	// searchAll calls fn for value i with each value found and its distance, and
	// cut where there may be more. What was found is not changed afterwards, as
	// long as what lies in room is not: searchAll may append to it and returns it.
	searchAll(values [][]byte, room []nearby.Match, fn func(i int, found []byte, distance int), cut func(i int)) []nearby.Match
	// load begins to add about so many values to a finder that is empty.
	load(hint int) bulk
}

// newFinders makes the finders of the types that match within a distance. Types
// without one match by equality.
func newFinders() map[string]finder {
	bounded := nearby.WithLimits(nearby.ServingLimits)
	return map[string]finder{
		"pdq":            &hamming{index: nearby.New(bounded), radius: threshold("pdq")},
		"vpdq":           &hamming{index: nearby.New(bounded), radius: threshold("pdq")},
		"text_tlsh":      &texts{index: tlshindex.New(bounded), distance: threshold("text_tlsh")},
		"text_tlsh_norm": &texts{index: tlshindex.New(bounded), distance: threshold("text_tlsh_norm")},
		"chromaprint":    &sounds{},
	}
}

func threshold(typ string) int {
	t, _ := spec.SignalTypeOf(typ)
	return t.Threshold
}

// hamming finds 256-bit hashes.
type hamming struct {
	index  *nearby.Index
	radius int
}

func (h *hamming) add(v []byte) error { return h.index.Add((*[32]byte)(v), 0) }
func (h *hamming) remove(v []byte)    { h.index.Remove((*[32]byte)(v), 0) }

func (h *hamming) searchAll(values [][]byte, room []nearby.Match, fn func(int, []byte, int), cut func(int)) []nearby.Match {
	answer := func(i int, matches []nearby.Match, truncated bool) {
		for k := range matches {
			fn(i, matches[k].Hash[:], matches[k].Distance)
		}
		if truncated {
			cut(i)
		}
	}
	if len(values) == 1 {
		matches, truncated := h.index.Search((*[32]byte)(values[0]), h.radius, room)
		answer(0, matches[len(room):], truncated)
		return matches
	}
	rows := make([][32]byte, len(values))
	for i, v := range values {
		rows[i] = [32]byte(v)
	}
	var results nearby.Results
	h.index.SearchBatch(rows, h.radius, &results)
	for i := range rows {
		matches, truncated := results.Of(i)
		answer(i, matches, truncated)
	}
	return room
}

func (h *hamming) load(hint int) bulk {
	l := h.index.Loader(hint)
	return bulk{rows: func(values [][32]byte) error { return l.AddDistinct(values, 0) }, finish: l.Finish}
}

// texts finds TLSH values.
type texts struct {
	index    *tlshindex.Index
	distance int
}

func (x *texts) add(v []byte) error { return x.index.Add((*tlsh.Hash)(v), 0) }
func (x *texts) remove(v []byte)    { x.index.Remove((*tlsh.Hash)(v), 0) }

func (x *texts) searchAll(values [][]byte, room []nearby.Match, fn func(int, []byte, int), cut func(int)) []nearby.Match {
	for i, v := range values {
		matches, truncated := x.index.Search((*tlsh.Hash)(v), x.distance, nil)
		for k := range matches {
			fn(i, matches[k].Hash[:], matches[k].Distance)
		}
		if truncated {
			cut(i)
		}
	}
	return room
}

func (x *texts) load(int) bulk {
	return bulk{add: x.add, finish: func(func(float64)) error { return nil }}
}

// sounds finds fingerprints of sound by comparing with every one of them: there is
// no index yet that finds all.
type sounds struct {
	mu   sync.RWMutex
	list []sound
}

type sound struct {
	value []byte
	print chromaprint.Fingerprint
}

func (s *sounds) add(v []byte) error {
	p, err := chromaprint.FromBytes(v)
	if err != nil {
		return nil // listed, and found by equality alone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at(v) < 0 {
		s.list = append(slices.Clip(s.list), sound{bytes.Clone(v), p})
	}
	return nil
}

func (s *sounds) at(v []byte) int {
	return slices.IndexFunc(s.list, func(x sound) bool { return bytes.Equal(x.value, v) })
}

func (s *sounds) remove(v []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.at(v); i >= 0 {
		s.list = slices.Concat(s.list[:i], s.list[i+1:])
	}
}

func (s *sounds) searchAll(values [][]byte, room []nearby.Match, fn func(int, []byte, int), _ func(int)) []nearby.Match {
	s.mu.RLock()
	list := s.list // never changed in place
	s.mu.RUnlock()
	for i, v := range values {
		p, err := chromaprint.FromBytes(v)
		if err != nil {
			continue
		}
		for _, x := range list {
			if a := chromaprint.Align(p, x.print); a.Match() {
				fn(i, x.value, a.Rate())
			}
		}
	}
	return room
}

func (s *sounds) load(int) bulk {
	return bulk{add: s.add, finish: func(func(float64)) error { return nil }}
}
