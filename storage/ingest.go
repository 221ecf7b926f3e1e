// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// checked is a chunk that was verified, as rows of the database: those that stand in
// the order of places one behind the other, and what is put aside as it came.
type checked struct {
	kind   int
	index  uint32
	counts chunkCounts
	bytes  int
	width  int      // of a key
	keys   []byte   // with their table
	values []byte   // of the keys
	ends   []uint32 // of the values
	rest   []ruleRecord
	roots  []bucketRoot
	leaves []chunkLeaf // until they are in the indexes
}

// key returns the key of a row.
func (c *checked) key(i int) []byte { return c.keys[i*c.width:][:c.width:c.width] }

// set calls fn with the rows in the order of places.
func (c *checked) set(fn func(key, value []byte) error) error {
	from := uint32(0)
	for i, to := range c.ends {
		if err := fn(c.key(i), c.values[from:to]); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// putAside calls fn with the rows that stand in another order, without their table.
func (c *checked) putAside(fn func(key, value []byte)) {
	if c.kind == chunkRules {
		for i := range c.rest {
			fn(c.rest[i].key, c.rest[i].value)
		}
		return
	}
	var key [64]byte
	for i := range c.ends {
		k := c.key(i)
		copy(key[copy(key[:], k[33:]):], k[1:33])
		fn(key[:], nil)
	}
}

// Verified chunks are written together once they have so many bytes, or are so
// many: fewer files, and a crash costs at most these, for each processor.
const (
	flushBytes  = 32 << 20
	flushChunks = 512
)

// Chunk verifies a chunk of live signals, or of their keys where the store is keyed,
// and takes it. An error with a code other
// than CORRUPT is its sender's fault.
func (st *Staging) Chunk(index uint32, data []byte) error {
	if index >= LiveChunks {
		return spec.Errorf(spec.CodeMalformed, "a snapshot has %d chunks", LiveChunks)
	}
	leaves, roots, err := checkChunk(index, data, st.head.ChunkRoots[index], st.s.opts.Keyed)
	if err != nil {
		return err
	}
	c := &checked{
		kind: chunkLive, index: index, counts: chunkCounts{Live: uint64(len(leaves))}, roots: roots, leaves: leaves,
		width: 65, keys: make([]byte, 0, 65*len(leaves)), values: make([]byte, 0, len(data)+48*len(leaves)), ends: make([]uint32, 0, len(leaves)),
	}
	for i := range leaves {
		l := &leaves[i]
		c.keys = append(append(append(c.keys, tableLive), l.k[:]...), l.entry()...)
		c.values = appendLive(c.values, &l.liveView)
		c.ends = append(c.ends, uint32(len(c.values)))
	}
	c.bytes = cap(c.keys) + cap(c.values)
	return st.take(c)
}

// Rules verifies a chunk of records of the rules and takes it, as Chunk does.
func (st *Staging) Rules(index uint32, data []byte) error {
	if index >= RuleChunks {
		return spec.Errorf(spec.CodeMalformed, "a snapshot has %d chunks of rules", RuleChunks)
	}
	records, roots, err := checkRules(index, data, st.head.RuleRoots[index])
	if err != nil {
		return err
	}
	c := &checked{
		kind: chunkRules, index: index, rest: records, roots: roots,
		width: 33, keys: make([]byte, 0, 33*len(records)), values: make([]byte, 0, 32*len(records)), ends: make([]uint32, 0, len(records)),
	}
	for i := range records {
		r := &records[i]
		c.keys = append(append(c.keys, tableRuleLeaf), r.place[:]...)
		c.values = append(c.values, r.leaf[:]...)
		c.ends = append(c.ends, uint32(len(c.values)))
		if matchableEntry(r) {
			c.counts.Entries++
		}
	}
	c.bytes = len(data) + cap(c.keys) + cap(c.values) + len(records)*int(unsafe.Sizeof(ruleRecord{}))
	return st.take(c)
}

// matchableEntry reads the state of an entry's record (see spec.Entry).
func matchableEntry(r *ruleRecord) bool {
	if !bytes.HasPrefix(r.key, spec.EntryPrefix) {
		return false
	}
	q := quick{rest: r.value}
	q.head(4)
	q.take(2)
	q.head(0)
	q.text()
	state := q.head(0)
	return !q.bad && spec.Matchable(state)
}

// take keeps a verified chunk until it is written, unless it is there already, and has
// the indexes take it.
func (st *Staging) take(c *checked) error {
	st.mu.Lock()
	if st.has(c.kind, c.index) {
		st.mu.Unlock()
		return nil
	}
	st.pending[c.kind][c.index] = c
	st.bytes += c.bytes
	full := st.full()
	st.mu.Unlock()
	st.warm.add(c)
	if !full {
		return nil
	}
	st.room <- struct{}{}
	defer func() { <-st.room }()
	st.writing.RLock()
	defer st.writing.RUnlock()
	st.mu.Lock()
	var batch []*checked
	if st.full() {
		batch = st.cut()
	}
	st.mu.Unlock()
	return st.write(batch)
}

// has reports whether a chunk is there. The caller holds mu.
func (st *Staging) has(kind int, index uint32) bool {
	_, done := st.done[kind][index]
	_, pending := st.pending[kind][index]
	_, flying := st.flying[kind][index]
	return done || pending || flying
}

// full reports whether it is time to write. The caller holds mu.
func (st *Staging) full() bool {
	return st.bytes >= flushBytes || len(st.pending[0])+len(st.pending[1]) >= flushChunks
}

// cut returns what is to be written. The caller holds mu.
func (st *Staging) cut() (batch []*checked) {
	for kind := range st.pending {
		for i, c := range st.pending[kind] {
			batch = append(batch, c)
			st.flying[kind][i] = c
		}
		clear(st.pending[kind])
	}
	st.bytes = 0
	slices.SortFunc(batch, func(a, b *checked) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.index, b.index))
	})
	return batch
}

// Flush writes what was verified. All of it is durable on return.
func (st *Staging) Flush() error {
	st.writing.Lock() // so nobody else writes
	defer st.writing.Unlock()
	st.mu.Lock()
	if st.closed {
		st.mu.Unlock()
		return nil
	}
	batch := st.cut()
	st.mu.Unlock()
	return st.write(batch)
}

// write writes a batch in one step that is durable on return.
func (st *Staging) write(batch []*checked) error {
	if len(batch) == 0 {
		return nil
	}
	asides, err := st.writeFiles(batch)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.aside = append(st.aside, asides...)
	for _, c := range batch {
		delete(st.flying[c.kind], c.index)
		if err == nil {
			st.done[c.kind][c.index] = c.counts
		} else {
			st.pending[c.kind][c.index] = c
			st.bytes += c.bytes
		}
	}
	if err != nil {
		return fmt.Errorf("writing chunks of a snapshot: %w", localError{err})
	}
	return nil
}

// localError hides the code of a fault of our own.
type localError struct{ err error }

func (e localError) Error() string { return e.err.Error() }

type row struct{ key, value []byte }

// writeFiles makes files of chunks and has the database take them all in one step:
// those whose places follow one another in one, and which chunks they are in another.
// What stands in another order is put aside before.
func (st *Staging) writeFiles(batch []*checked) (asides []*aside, err error) {
	var paths []string
	defer func() {
		for _, p := range paths {
			_ = st.s.opts.FS.Remove(p) // of what was taken nothing is left there
		}
	}()
	file := func(table byte, rows func(set func(key, value []byte) error) error) error {
		path := st.chunkPath(st.files.Add(1))
		paths = append(paths, path)
		return st.writeTable(path, tableOptions(table), rows)
	}
	var marks []row
	for _, run := range inRuns(batch) {
		err := file(run[0].keys[0], func(set func(key, value []byte) error) error {
			for _, c := range run {
				if err := c.set(set); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, c := range batch {
		enc, err := spec.Encode(&c.counts)
		if err != nil {
			return nil, err
		}
		marks = append(marks, row{stagedChunkKey(c.kind, c.index), enc})
	}
	for kind := range asideTables {
		a, err := st.putAside(kind, func(yield func(key, value []byte)) {
			for _, c := range batch {
				if c.kind == kind {
					c.putAside(yield)
				}
			}
		})
		if err != nil {
			return nil, err
		}
		if a == nil {
			continue
		}
		enc, err := spec.Encode(a)
		if err != nil {
			return nil, err
		}
		asides, marks = append(asides, a), append(marks, row{a.key(), enc})
	}
	err = file(tableMeta, func(set func(key, value []byte) error) error {
		for _, m := range marks {
			if err := set(m.key, m.value); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = syncDir(st.s.opts.FS, st.s.opts.FS.PathJoin(st.s.dir, st.name))
	}
	if err == nil {
		err = st.pebble.Ingest(context.Background(), paths)
	}
	return asides, err
}

// inRuns parts a batch into chunks with rows that follow one another.
func inRuns(batch []*checked) (runs [][]*checked) {
	last := -1
	for i, c := range batch {
		if i == 0 || batch[i-1].kind != c.kind || batch[i-1].index+1 != c.index {
			last = -1
		}
		if len(c.ends) == 0 {
			continue
		}
		if last < 0 {
			runs, last = append(runs, nil), len(runs)
		}
		runs[last] = append(runs[last], c)
	}
	return runs
}

// sorted returns rows in the order of their keys. Most are told apart by the eight
// bytes behind what all keys begin with, which are compared as one number.
func sorted(rows []row) []row {
	if len(rows) == 0 {
		return nil
	}
	shared := len(rows[0].key)
	for _, r := range rows[1:] {
		shared = commonPrefix(rows[0].key[:shared], r.key)
	}
	type place struct {
		head uint64
		at   int
	}
	places := make([]place, len(rows))
	for i, r := range rows {
		var head [8]byte
		copy(head[:], r.key[shared:])
		places[i] = place{binary.BigEndian.Uint64(head[:]), i}
	}
	slices.SortFunc(places, func(a, b place) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return bytes.Compare(rows[a.at].key, rows[b.at].key)
	})
	out := make([]row, len(rows))
	for i, p := range places {
		out[i] = rows[p.at]
	}
	return out
}

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

func (st *Staging) chunkPath(number uint32) string {
	return st.s.opts.FS.PathJoin(st.s.dir, st.name, fmt.Sprintf("chunk-%d", number))
}

// writeTable writes rows, which ascend, into a file that is durable on return.
func (st *Staging) writeTable(path string, o sstable.WriterOptions, rows func(set func(key, value []byte) error) error) error {
	f, err := st.s.opts.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), o)
	if err := rows(w.Set); err != nil {
		return errors.Join(err, w.Close())
	}
	return w.Close()
}

// tableOptions are for tables of the lowest level, of which no filter is asked. Those
// of nothing but hashes do not shrink.
func tableOptions(table byte) sstable.WriterOptions {
	o := &pebble.Options{FormatMajorVersion: databaseFormat}
	o.EnsureDefaults()
	w := o.MakeWriterOptions(6, databaseFormat.MaxTableFormat())
	if table == tableRuleLeaf || table == tableUnopened {
		w.Compression = sstable.NoCompression
	}
	return w
}
