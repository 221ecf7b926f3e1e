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

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// checked is a chunk that was verified, as rows of the database by table.
type checked struct {
	kind   int
	index  uint32
	counts chunkCounts
	tables [2][]row // first what stands in the order of places, then what does not
	bytes  int
}

type row struct{ key, value []byte }

// Verified chunks are written together once they have so many bytes, or are so
// many: fewer files, and a crash costs at most these.
const (
	flushBytes  = 16 << 20
	flushChunks = 256
)

// Chunk verifies a chunk of live signals, or of their keys where the store is keyed,
// and takes it. An error with a code other
// than CORRUPT is its sender's fault.
func (st *Staging) Chunk(index uint32, data []byte) error {
	if index >= LiveChunks {
		return spec.Errorf(spec.CodeMalformed, "a snapshot has %d chunks", LiveChunks)
	}
	leaves, err := checkChunk(index, data, st.head.ChunkRoots[index], st.s.opts.Keyed)
	if err != nil {
		return err
	}
	c := &checked{kind: chunkLive, index: index, counts: chunkCounts{Live: uint64(len(leaves))}}
	keys := make([]byte, 0, 130*len(leaves))
	values := make([]byte, 0, len(data)+48*len(leaves))
	c.tables[0], c.tables[1] = make([]row, 0, len(leaves)), make([]row, 0, len(leaves))
	for i := range leaves {
		l := &leaves[i]
		k := len(keys)
		keys = append(append(append(keys, tableLive), l.k[:]...), l.entry()...)
		e := len(keys)
		keys = append(append(append(keys, tableUnopened), l.entry()...), l.k[:]...)
		v := len(values)
		values = appendLive(values, &l.liveView)
		c.tables[0] = append(c.tables[0], row{keys[k:e:e], values[v:len(values):len(values)]})
		c.tables[1] = append(c.tables[1], row{keys[e:len(keys):len(keys)], nil})
	}
	c.bytes = cap(keys) + cap(values)
	return st.take(c)
}

// Rules verifies a chunk of records of the rules and takes it, as Chunk does.
func (st *Staging) Rules(index uint32, data []byte) error {
	if index >= RuleChunks {
		return spec.Errorf(spec.CodeMalformed, "a snapshot has %d chunks of rules", RuleChunks)
	}
	records, err := checkRules(index, data, st.head.RuleRoots[index])
	if err != nil {
		return err
	}
	c := &checked{kind: chunkRules, index: index, bytes: 2 * len(data)}
	c.tables[0], c.tables[1] = make([]row, 0, len(records)), make([]row, 0, len(records))
	keys := make([]byte, 0, len(data)+34*len(records)) // never grows
	for i := range records {
		r := &records[i]
		k := len(keys)
		keys = append(append(keys, tableRuleLeaf), r.place[:]...)
		e := len(keys)
		keys = append(append(keys, tableRecord), r.key...)
		c.tables[0] = append(c.tables[0], row{keys[k:e:e], r.leaf[:]})
		c.tables[1] = append(c.tables[1], row{keys[e:len(keys):len(keys)], r.value})
		if matchableEntry(r) {
			c.counts.Entries++
		}
	}
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

// take keeps a verified chunk until it is written, unless it is there already.
func (st *Staging) take(c *checked) error {
	st.mu.Lock()
	_, done := st.done[c.kind][c.index]
	if _, pending := st.pending[c.kind][c.index]; !done && !pending {
		st.pending[c.kind][c.index] = c
		st.bytes += c.bytes
	}
	full := st.bytes >= flushBytes || len(st.pending[0])+len(st.pending[1]) >= flushChunks
	st.mu.Unlock()
	if full {
		return st.Flush()
	}
	return nil
}

// Flush writes what was verified, in one step that is durable on return.
func (st *Staging) Flush() error {
	st.writing.Lock()
	defer st.writing.Unlock()
	st.mu.Lock()
	if st.closed {
		st.mu.Unlock()
		return nil
	}
	var batch []*checked
	for kind := range st.pending {
		for _, c := range st.pending[kind] {
			batch = append(batch, c)
		}
	}
	st.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	slices.SortFunc(batch, func(a, b *checked) int {
		if a.kind != b.kind {
			return a.kind - b.kind
		}
		return int(a.index) - int(b.index)
	})
	if err := st.write(batch); err != nil {
		return fmt.Errorf("writing chunks of a snapshot: %w", localError{err})
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, c := range batch {
		st.done[c.kind][c.index] = c.counts
		delete(st.pending[c.kind], c.index)
		st.bytes -= c.bytes
	}
	return nil
}

// localError hides the code of a fault of our own.
type localError struct{ err error }

func (e localError) Error() string { return e.err.Error() }

// write makes files of chunks and has the database take them all in one step:
// those whose places follow one another in one, and what is in another order, and
// which chunks they are, in one each.
func (st *Staging) write(batch []*checked) (err error) {
	var paths []string
	defer func() {
		for _, p := range paths {
			_ = st.s.opts.FS.Remove(p) // of what was taken nothing is left there
		}
	}()
	file := func(o sstable.WriterOptions, runs ...[]row) error {
		if !slices.ContainsFunc(runs, func(rows []row) bool { return len(rows) > 0 }) {
			return nil
		}
		st.files++
		path := st.s.opts.FS.PathJoin(st.s.dir, st.name, fmt.Sprintf("chunk-%d", st.files))
		paths = append(paths, path)
		return st.writeTable(path, o, runs)
	}
	var marks []row
	var run [][]row
	for i, c := range batch {
		if i > 0 && (batch[i-1].kind != c.kind || batch[i-1].index+1 != c.index) {
			if err := file(tableOptions(), run...); err != nil {
				return err
			}
			run = nil
		}
		run = append(run, c.tables[0])
		enc, err := spec.Encode(&c.counts)
		if err != nil {
			return err
		}
		marks = append(marks, row{stagedChunkKey(c.kind, c.index), enc})
	}
	if err := file(tableOptions(), run...); err != nil {
		return err
	}
	for kind := range st.pending {
		if err := file(mergedOptions(), inOrderOfKeys(batch, kind)); err != nil {
			return err
		}
	}
	if err := file(tableOptions(), marks); err != nil {
		return err
	}
	return st.pebble.Ingest(context.Background(), paths)
}

// inOrderOfKeys gathers what the chunks of a kind have in another order than that of
// places.
func inOrderOfKeys(batch []*checked, kind int) []row {
	n := 0
	for _, c := range batch {
		if c.kind == kind {
			n += len(c.tables[1])
		}
	}
	rows := make([]row, 0, n)
	for _, c := range batch {
		if c.kind == kind {
			rows = append(rows, c.tables[1]...)
		}
	}
	return sorted(rows)
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

// writeTable writes runs of rows, which ascend, into a file that is durable on
// return.
func (st *Staging) writeTable(path string, o sstable.WriterOptions, runs [][]row) error {
	f, err := st.s.opts.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), o)
	for _, rows := range runs {
		for _, r := range rows {
			if err := w.Set(r.key, r.value); err != nil {
				return errors.Join(err, w.Close())
			}
		}
	}
	return w.Close()
}

func tableOptions() sstable.WriterOptions { return writerOptions(filterPolicy) }

func writerOptions(filter pebble.FilterPolicy) sstable.WriterOptions {
	o := &pebble.Options{FormatMajorVersion: databaseFormat}
	o.Levels[0].FilterPolicy = filter
	o.EnsureDefaults()
	return o.MakeWriterOptions(0, databaseFormat.MaxTableFormat())
}

// mergedOptions are for files that Staging.merge reads once, from one end to the
// other: nothing is looked up there, and they do not last.
func mergedOptions() sstable.WriterOptions {
	o := writerOptions(nil)
	o.Compression = sstable.NoCompression
	return o
}
