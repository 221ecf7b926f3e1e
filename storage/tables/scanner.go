// SPDX-License-Identifier: Apache-2.0

package tables

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// A Scanner reads ranges of keys, one after the other. It belongs to one goroutine,
// and its memory is used again from range to range.
type Scanner struct {
	set   *Set
	pool  sstable.BufferPool
	runs  []*run
	spare []*run
	last  []byte
}

// Scanner returns a new Scanner, which must be closed before the Set is.
func (s *Set) Scanner() *Scanner {
	sc := &Scanner{set: s}
	sc.pool.Init(16)
	return sc
}

// Close frees the Scanner's memory.
func (sc *Scanner) Close() { sc.pool.Release() }

// Each calls fn with every record from lower on and below upper, in the order of
// their keys. Both slices hold until fn returns.
func (sc *Scanner) Each(lower, upper []byte, fn func(key, value []byte) error) error {
	if !sc.set.plain {
		return sc.set.slowly(lower, upper, fn)
	}
	err := sc.start(lower, upper)
	if err == nil {
		err = sc.merge(fn)
	}
	for _, r := range sc.runs {
		err = errors.Join(err, r.close())
	}
	sc.spare, sc.runs = append(sc.spare, sc.runs...), sc.runs[:0]
	return err
}

// slowly is Each where the database holds more than plain records.
func (s *Set) slowly(lower, upper []byte, fn func(key, value []byte) error) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = fn(it.Key(), it.Value())
	}
	return errors.Join(err, it.Close())
}

// start puts a run with each level's tables before its first record. Those that
// have none are not kept.
func (sc *Scanner) start(lower, upper []byte) error {
	for _, tables := range sc.set.runs {
		from := 0
		for from < len(tables) && !tables[from].overlaps(lower, upper) {
			from++
		}
		to := from
		for to < len(tables) && tables[to].overlaps(lower, upper) {
			to++
		}
		if from == to {
			continue
		}
		r := &run{}
		if n := len(sc.spare); n > 0 {
			r, sc.spare = sc.spare[n-1], sc.spare[:n-1]
		}
		sc.runs = append(sc.runs, r)
		r.begin(sc, tables[from:to], lower, upper)
		if err := r.next(); err != nil {
			return err
		}
	}
	return nil
}

// merge calls fn with the newest record under each key, unless that says that the
// key is gone.
func (sc *Scanner) merge(fn func(key, value []byte) error) error {
	sc.last = sc.last[:0] // keys have at least one byte
	for {
		newest, limit := sc.least()
		if newest == nil {
			return nil
		}
		for again := true; again; again = newest.key != nil && (limit == nil || bytes.Compare(newest.key, limit) < 0) {
			if !bytes.Equal(newest.key, sc.last) {
				sc.last = append(sc.last[:0], newest.key...)
				if !newest.gone {
					if err := fn(newest.key, newest.value); err != nil {
						return err
					}
				}
			}
			if err := newest.next(); err != nil {
				return err
			}
		}
	}
}

// least returns the newest run of those that stand before the least key, and the
// least key that another run stands before, nil if there is none. Below that, the
// run's records may be taken without looking at the others.
func (sc *Scanner) least() (first *run, limit []byte) {
	for _, r := range sc.runs {
		switch {
		case r.key == nil:
		case first == nil:
			first = r
		case bytes.Compare(r.key, first.key) < 0:
			first, limit = r, first.key
		case limit == nil || bytes.Compare(r.key, limit) < 0:
			limit = r.key
		}
	}
	return first, limit
}
