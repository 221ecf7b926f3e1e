// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// FillItems is how many entries Fill lists under one case.
const FillItems = spec.MaxItems

// A FillEntry is one entry that Fill lists.
type FillEntry struct {
	Case    spec.Hash // the same for each run of FillItems numbers, and no other
	Org     string
	Labels  []string
	Signals []spec.Signal // each of another type, as many for every entry
}

// Fill lists n active entries that nobody decided on: their records, the openings of
// their cases, the live signals, and one root of the state in the log that commits to
// them. Records of the cases there are none. It writes the database's files directly, sorted, and so takes a
// hundredth of the time that proposals and votes would. It is for measuring; no
// protocol leads here. entry may be called by several goroutines, several times with
// the same number, and must answer the same. The store must be closed afterwards and
// opened again: its indexes are not filled.
func (s *Store) Fill(ctx context.Context, n int, entry func(i int) FillEntry) error {
	s.writer.Lock()
	err := s.read(func(d *database) error {
		f := &filling{fs: s.opts.FS, dir: s.opts.FS.PathJoin(s.dir, "fill"), d: d, entry: entry, since: d.edge.Size}
		signals, err := f.write(ctx, n)
		if err == nil {
			d.counts.Entries += uint64(n)
			d.counts.Live += signals
			err = d.load(nil)
		}
		return errors.Join(err, f.fs.RemoveAll(f.dir))
	})
	s.writer.Unlock()
	if err != nil {
		return fmt.Errorf("filling the store: %w", err)
	}
	return s.sealFill()
}

// sealFill appends the root of the state to the log.
func (s *Store) sealFill() error {
	tx, err := s.Begin()
	if err != nil {
		return err
	}
	defer tx.Drop()
	var clock spec.Clock
	if b, err := tx.Record(spec.ClockKey); err != nil || b != nil && spec.Decode(b, &clock) != nil {
		return errors.Join(err, spec.Errorf(spec.CodeCorrupt, "the clock of the log cannot be read"))
	}
	r, err := tx.Roots()
	if err != nil {
		return err
	}
	leaf, err := spec.Encode(&spec.StateRoot{
		Tag: spec.TagStateRoot, SizeBefore: tx.Size(), LiveRoot: r.Live, LiveCount: r.LiveCount,
		RulesRoot: r.Rules, Epoch: clock.Epoch, TimeMS: clock.TimeMS,
	})
	if err == nil {
		err = tx.Append(leaf)
	}
	if err == nil {
		err = tx.Commit(s.Head().Applied)
	}
	return errors.Join(err, s.Sync())
}

type filling struct {
	fs    vfs.FS
	dir   string
	d     *database
	entry func(i int) FillEntry
	since uint64

	entries int
}

// A fillRef is a record that will be made: of an entry, or of one of its signals.
type fillRef struct {
	order  uint64 // first bytes of its key, behind the table's
	entry  uint32
	signal uint16
}

// perFile is how many records one file of the database gets.
const perFile = 1 << 17

// write makes the files and has the database take them.
func (f *filling) write(ctx context.Context, n int) (signals uint64, err error) {
	if err := f.fs.MkdirAll(f.dir, 0o700); err != nil {
		return 0, err
	}
	refs, err := f.refs(n)
	if err != nil {
		return 0, err
	}
	f.entries = n
	makers := []func(fillRef) (key, value []byte, err error){f.liveRecord, f.entryRecord, f.entryLeaf, f.openingRecord}
	var jobs []func() (string, error)
	for kind, list := range refs {
		slices.SortFunc(list, func(a, b fillRef) int { return f.compare(a, b, makers[kind]) })
		for part := range slices.Chunk(list, perFile) {
			name := f.fs.PathJoin(f.dir, fmt.Sprintf("%06d.sst", len(jobs)))
			jobs = append(jobs, func() (string, error) { return name, f.file(ctx, name, part, makers[kind]) })
		}
	}
	var mu sync.Mutex
	var paths []string
	err = inParallel(len(jobs), func(i int) error {
		name, err := jobs[i]()
		mu.Lock()
		defer mu.Unlock()
		paths = append(paths, name)
		return err
	})
	if err != nil {
		return 0, err
	}
	return uint64(len(refs[0])), f.d.pebble.Ingest(ctx, paths)
}

// compare orders records as their keys are. Entries may list the same value.
func (f *filling) compare(a, b fillRef, record func(fillRef) (key, value []byte, err error)) int {
	if a.order != b.order {
		return cmp.Compare(a.order, b.order)
	}
	x, _, _ := record(a)
	y, _, _ := record(b)
	return bytes.Compare(x, y)
}

// refs lists the live signals, the records of the entries, and their leaves.
func (f *filling) refs(n int) (all [4][]fillRef, err error) {
	const chunk = 1 << 14
	var mu sync.Mutex
	err = inParallel((n+chunk-1)/chunk, func(c int) error {
		var part [4][]fillRef
		for i := c * chunk; i < min(n, (c+1)*chunk); i++ {
			e := f.entry(i)
			id := spec.EntryID(e.Case, i%FillItems)
			place := spec.RulePlace(spec.EntryKey(id))
			part[1] = append(part[1], fillRef{binary.BigEndian.Uint64(id[:]), uint32(i), 0})
			part[2] = append(part[2], fillRef{binary.BigEndian.Uint64(place[:]), uint32(i), 0})
			if i%FillItems == 0 {
				part[3] = append(part[3], fillRef{binary.BigEndian.Uint64(e.Case[:]), uint32(i), 0})
			}
			for k, sig := range e.Signals {
				key := sig.Key()
				part[0] = append(part[0], fillRef{binary.BigEndian.Uint64(key[:]), uint32(i), uint16(k)})
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for k := range all {
			all[k] = append(all[k], part[k]...)
		}
		return nil
	})
	return all, err
}

func (f *filling) file(ctx context.Context, name string, refs []fillRef, record func(fillRef) (key, value []byte, err error)) error {
	file, err := f.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	o := &pebble.Options{FormatMajorVersion: databaseFormat}
	o.EnsureDefaults()
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = filterPolicy
	}
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(file), o.MakeWriterOptions(6, databaseFormat.MaxTableFormat()))
	for i, r := range refs {
		key, value, err := record(r)
		if err == nil {
			err = w.Set(key, value)
		}
		if err == nil && i%1024 == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return w.Close()
}

// opened is what a commitment to a signal opens to. The salt hides nothing here.
func opened(sig spec.Signal, item int) spec.Opened {
	k := sig.Key()
	return spec.Opened{Salt: [spec.SaltSize]byte(k[:spec.SaltSize]), Item: item, Signal: sig}
}

func (f *filling) liveRecord(r fillRef) (key, value []byte, err error) {
	e, item := f.entry(int(r.entry)), int(r.entry)%FillItems
	o, id := opened(e.Signals[r.signal], item), spec.EntryID(e.Case, item)
	meta, err := spec.Encode(&spec.LiveMeta{Entry: id, State: spec.StateActive, Since: f.since, Labels: e.Labels})
	if err != nil {
		return nil, nil, err
	}
	value, err = spec.Encode(&liveSignal{
		Type: o.Signal.Type, Value: o.Signal.Value, Quality: uint64(o.Signal.Quality),
		C: o.Commitment(), Meta: meta, Salt: o.Salt, Item: uint64(item),
	})
	return liveKey(o.Signal.Key(), id), value, err
}

func (f *filling) openingRecord(r fillRef) (key, value []byte, err error) {
	var o spec.Opening
	first := int(r.entry)
	for i := first; i < min(first+FillItems, f.entries); i++ {
		for _, sig := range f.entry(i).Signals {
			o.Signals = append(o.Signals, opened(sig, i-first))
		}
	}
	value, err = o.Encode()
	return openingKey(f.entry(first).Case), value, err
}

func (f *filling) entryOf(r fillRef) (key, value []byte, err error) {
	e, item := f.entry(int(r.entry)), int(r.entry)%FillItems
	record := spec.Entry{
		Case: e.Case, Item: uint64(item), Org: e.Org, State: spec.StateActive, Since: f.since, Labels: e.Labels,
		First: uint64(item * len(e.Signals)), Count: uint64(len(e.Signals)), Confirmed: true,
	}
	for _, sig := range e.Signals {
		record.Counts = append(record.Counts, spec.Count{Type: sig.Type, Count: 1})
	}
	value, err = spec.Encode(&record)
	return spec.EntryKey(spec.EntryID(e.Case, item)), value, err
}

func (f *filling) entryRecord(r fillRef) (key, value []byte, err error) {
	key, value, err = f.entryOf(r)
	return recordKey(key), value, err
}

func (f *filling) entryLeaf(r fillRef) (key, value []byte, err error) {
	key, value, err = f.entryOf(r)
	leaf := spec.RuleLeaf(key, value)
	return ruleLeafKey(spec.RulePlace(key)), leaf[:], err
}

// inParallel calls fn with 0 to n-1 on all processors.
func inParallel(n int, fn func(i int) error) error {
	work := make(chan int)
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range work {
				if errs[w] == nil {
					errs[w] = fn(i)
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
	return errors.Join(errs...)
}
