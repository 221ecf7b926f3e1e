// SPDX-License-Identifier: Apache-2.0

// Package tables reads all records of a Pebble database in the order of their keys,
// as a start does: straight from the database's tables, a quarter of a megabyte at a
// time, past the cache of blocks, which would keep nothing that is read twice.
package tables

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A Set is the tables that a database consists of at one moment. The database keeps
// their files until the Set is closed. Any number of goroutines may read it, each
// with a Scanner of its own.
type Set struct {
	db     *pebble.DB
	fs     vfs.FS
	runs   [][]table // the newest first
	pin    *pebble.Iterator
	reader sstable.ReaderOptions
	plain  bool // there is nothing but records, and deletions of single ones
}

// A table is one file of the database.
type table struct {
	path            string
	smallest, large []byte // its first and last key
}

// Open writes out what the database in dir holds in memory only, and returns its
// tables. Nobody may write to the database meanwhile.
func Open(db *pebble.DB, fs vfs.FS, dir string) (*Set, error) {
	if err := db.Flush(); err != nil {
		return nil, fmt.Errorf("writing out the database's memory: %w", err)
	}
	var o pebble.Options
	o.EnsureDefaults()
	s := &Set{db: db, fs: fs, reader: o.MakeReaderOptions()}
	for {
		before, err := db.SSTables()
		if err != nil {
			return nil, fmt.Errorf("listing the database's tables: %w", err)
		}
		if s.pin, err = db.NewIter(nil); err != nil {
			return nil, err
		}
		levels, err := db.SSTables(pebble.WithProperties())
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listing the database's tables: %w", err), s.Close())
		}
		if slices.EqualFunc(before, levels, sameTables) { // so these are what the iterator holds
			s.list(dir, levels)
			return s, nil
		}
		if err := s.Close(); err != nil { // a compaction has ended meanwhile
			return nil, err
		}
	}
}

// Close lets the database have its files back.
func (s *Set) Close() error { return s.pin.Close() }

func sameTables(a, b []pebble.SSTableInfo) bool {
	return slices.EqualFunc(a, b, func(a, b pebble.SSTableInfo) bool { return a.FileNum == b.FileNum })
}

// list makes runs of the levels: tables of level 0 overlap, and of two that do the
// later one was written later.
func (s *Set) list(dir string, levels [][]pebble.SSTableInfo) {
	s.plain = true
	for n, level := range levels {
		if n == 0 {
			slices.SortFunc(level, func(a, b pebble.SSTableInfo) int {
				return cmp.Or(cmp.Compare(b.LargestSeqNum, a.LargestSeqNum), cmp.Compare(b.SmallestSeqNum, a.SmallestSeqNum), cmp.Compare(b.FileNum, a.FileNum))
			})
		}
		var run []table
		for _, t := range level {
			p := t.Properties
			s.plain = s.plain && !t.Virtual && t.BackingType == pebble.BackingTypeLocal && p.NumRangeDeletions == 0 &&
				p.NumRangeKeyDels == 0 && p.NumRangeKeySets == 0 && p.NumRangeKeyUnsets == 0 && p.NumMergeOperands == 0
			run = append(run, table{s.fs.PathJoin(dir, t.BackingSSTNum.String()+".sst"), t.Smallest.UserKey, t.Largest.UserKey})
			if n == 0 {
				s.runs, run = append(s.runs, run), nil
			}
		}
		if len(run) > 0 {
			s.runs = append(s.runs, run)
		}
	}
}

// overlaps reports whether a table may hold keys from lower on and below upper.
func (t *table) overlaps(lower, upper []byte) bool {
	return bytes.Compare(t.large, lower) >= 0 && bytes.Compare(t.smallest, upper) < 0
}
