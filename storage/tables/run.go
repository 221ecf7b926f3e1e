// SPDX-License-Identifier: Apache-2.0

package tables

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A run reads tables that do not overlap, one after the other. It stands before one
// record, or behind the last if key is nil.
type run struct {
	sc           *Scanner
	tables       []table
	lower, upper []byte
	path         string // of the table at hand
	file         window
	reader       *sstable.Reader
	it           sstable.Iterator

	key, value []byte
	gone       bool // the record says that there is none under its key
}

func (r *run) begin(sc *Scanner, tables []table, lower, upper []byte) {
	r.sc, r.tables, r.lower, r.upper = sc, tables, lower, upper
}

// next goes to the next record of a run that has not met its end.
func (r *run) next() error {
	if r.it != nil {
		if kv := r.it.Next(); kv != nil {
			var err error
			r.key = kv.K.UserKey
			r.value, _, err = kv.Value(nil)
			return errors.Join(err, r.kind(kv.Kind()))
		}
	}
	return r.nextTable()
}

// nextTable goes to the first record of the tables that were not read yet.
func (r *run) nextTable() error {
	for {
		if err := r.close(); err != nil || len(r.tables) == 0 {
			return err
		}
		t := r.tables[0]
		r.tables = r.tables[1:]
		if err := r.open(t.path); err != nil {
			return fmt.Errorf("reading %s: %w", t.path, err)
		}
		if kv := r.it.SeekGE(r.lower, 0); kv != nil {
			var err error
			r.key = kv.K.UserKey
			r.value, _, err = kv.Value(nil)
			return errors.Join(err, r.kind(kv.Kind()))
		}
	}
}

func (r *run) kind(k pebble.InternalKeyKind) error {
	switch k {
	case pebble.InternalKeyKindSet, pebble.InternalKeyKindSetWithDelete:
		r.gone = false
	case pebble.InternalKeyKindDelete, pebble.InternalKeyKindDeleteSized, pebble.InternalKeyKindSingleDelete:
		r.gone = true
	default:
		return fmt.Errorf("a table holds a record of kind %d, which is never written", k)
	}
	return nil
}

func (r *run) open(path string) error {
	f, err := r.sc.set.fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	r.path = path
	r.file.begin(f)
	readable, err := sstable.NewSimpleReadable(&r.file)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if r.reader, err = sstable.NewReader(context.Background(), readable, r.sc.set.reader); err != nil {
		return errors.Join(err, readable.Close())
	}
	o := sstable.IterOptions{
		Lower: r.lower, Upper: r.upper, FilterBlockSizeLimit: sstable.NeverUseFilterBlock,
		ReaderProvider: sstable.MakeTrivialReaderProvider(r.reader),
	}
	o.Env.Block.BufferPool = &r.sc.pool
	r.it, err = r.reader.NewPointIter(context.Background(), o)
	return err
}

// close ends the table at hand, and returns the error that ended its records.
func (r *run) close() (err error) {
	r.key, r.value = nil, nil
	if r.it != nil {
		err = cmp.Or(r.it.Error(), r.it.Close()) // mostly the same
	}
	if r.reader != nil {
		err = errors.Join(err, r.reader.Close())
	}
	r.it, r.reader = nil, nil
	if err != nil {
		return fmt.Errorf("reading %s: %w", r.path, err)
	}
	return nil
}
