// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage/entries"
	"github.com/tocsin-db/tocsin/storage/tables"
)

// Everything that a start reads is cut into pieces, of which every processor takes
// the next one: pieces of the live signals and of the rules' leaves are whole
// buckets, so that each gives the roots of its buckets.
const piecesBits = 8

// load fills the indexes and the trees from what is stored, and checks that the
// leaves of the rules are those of their records.
func (d *database) load(progress func(done, of uint64)) error {
	l := &loading{d: d, progress: progress, types: map[string]*typeLoader{}, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	if err := l.prepare(); err != nil {
		return err
	}
	set, err := tables.Open(d.pebble, d.fs, d.dir)
	if err != nil {
		return err
	}
	if err := errors.Join(inPieces(set, l.pieces()), set.Close()); err != nil {
		return err
	}
	if n := l.done.Load(); n != d.counts.Live {
		return d.nameDamage(spec.Errorf(spec.CodeCorrupt, "the database holds %d live signals where %d were written", n, d.counts.Live))
	}
	if l.leaves != l.records {
		return d.nameDamage(spec.Errorf(spec.CodeCorrupt, "the records of the rules are not those that were written"))
	}
	d.live.load(l.live)
	d.rules.load(l.rules)
	return l.finish()
}

// loading is a start under way. What pieces share is guarded by mu.
type loading struct {
	d        *database
	progress func(done, of uint64)
	done     atomic.Uint64 // live signals
	types    map[string]*typeLoader
	samples  int // of values that have a finder
	seeds    [2]maphash.Seed

	mu              sync.Mutex
	live, rules     []bucketRoot
	leaves, records keyedSum
	entries         []*entries.Loader
}

// A typeLoader takes the values of one type for its finder.
type typeLoader struct {
	mu sync.Mutex // for add
	bulk
	samples int // of the type
}

// A bulk adds many values to a finder.
type bulk struct {
	add    func(value []byte) error                // by one goroutine at a time
	rows   func(values [][32]byte) error           // each other than all others, by any number at a time; nil for finders of other values
	finish func(progress func(done float64)) error // makes them findable
}

// sampled is how many live signals tell what types there are: they stand in the
// order of hashes, so that the first are as good as any.
const sampled = 4096

// prepare makes the indexes in about the size that they will have.
func (l *loading) prepare() error {
	counts, seen := map[string]int{}, 0
	it, err := l.d.pebble.NewIter(tableBounds(tableLive, nil, nil))
	if err != nil {
		return err
	}
	for it.First(); it.Valid() && seen < sampled; it.Next() {
		if v, ok := quickLive(it.Value()); ok {
			counts[string(v.Type)]++
			seen++
		}
	}
	if err := it.Error(); err != nil {
		_ = it.Close() // which is the same error
		return l.d.unreadable(err)
	}
	if err := it.Close(); err != nil {
		return err
	}
	l.makeIndexes(l.d.counts.Live, counts, seen)
	return nil
}

// makeIndexes makes the indexes for so many live signals, of types in such shares.
func (l *loading) makeIndexes(live uint64, counts map[string]int, seen int) {
	share := func(n int) int {
		return int(float64(min(live, 1<<40)) * float64(n) / float64(max(1, seen)) * 1.02)
	}
	l.d.entries = entries.New(int(min(live, 1<<32)), saidOf)
	l.d.exact = newListed(share(counts[typeDigest]), share(seen-counts[typeDigest]), l.d.keyed)
	for typ, f := range l.d.finders {
		l.types[typ] = &typeLoader{bulk: f.load(share(counts[typ])), samples: counts[typ]}
		l.samples += counts[typ]
	}
}

// finish ends the loading of the finders, one after the other: each uses all
// processors.
func (l *loading) finish() error {
	var errs []error
	before := 0
	for _, t := range l.types {
		errs = append(errs, t.finish(func(done float64) {
			l.tell(1, (float64(before)+done*float64(t.samples))/float64(max(1, l.samples)))
		}))
		before += t.samples
	}
	for _, e := range l.entries {
		errs = append(errs, e.Finish())
	}
	l.tell(1, 1)
	return errors.Join(errs...)
}

// readingShare is how much of a start reading is; the rest is laying out the finders.
const readingShare = 0.87

// tell says how far reading and laying out are, from 0 to 1 each.
func (l *loading) tell(read, laidOut float64) {
	if l.progress != nil {
		l.progress(uint64(math.Round((read*readingShare+laidOut*(1-readingShare))*float64(l.d.counts.Live))), l.d.counts.Live)
	}
}

// pieces lists what is to be read, the tables side by side: so that of each as much
// is done as of the live signals.
func (l *loading) pieces() (all []func(*pieceWork) error) {
	tables := []struct {
		table  byte
		prefix []byte
		scan   func(*pieceWork, *pebble.IterOptions) error
	}{{tableLive, nil, l.livePiece}, {tableRecord, spec.EntryPrefix, l.recordPiece}, {tableRuleLeaf, nil, l.ruleLeafPiece}}
	for _, rest := range [][2][]byte{{nil, spec.EntryPrefix}, {after(spec.EntryPrefix), nil}} {
		bounds := tableBounds(tableRecord, rest[0], rest[1])
		all = append(all, func(w *pieceWork) error { return l.recordPiece(w, bounds) })
	}
	for i := range 1 << piecesBits {
		for _, t := range tables {
			bounds := pieceBounds(t.table, t.prefix, i)
			all = append(all, func(w *pieceWork) error { return t.scan(w, bounds) })
		}
	}
	return all
}

// pieceBounds are the keys of piece i of those with a prefix.
func pieceBounds(table byte, prefix []byte, i int) *pebble.IterOptions {
	from, to := append(prefix[:len(prefix):len(prefix)], byte(i)), append(prefix[:len(prefix):len(prefix)], byte(i+1))
	if i == 0 {
		from = prefix
	}
	if i == 1<<piecesBits-1 {
		to = after(prefix)
	}
	return tableBounds(table, from, to)
}

// tableBounds are the keys of a table from one on and below another; nil for none.
func tableBounds(table byte, from, to []byte) *pebble.IterOptions {
	o := &pebble.IterOptions{LowerBound: append([]byte{table}, from...), UpperBound: append([]byte{table}, to...)}
	if to == nil {
		o.UpperBound = []byte{table + 1}
	}
	return o
}

// inPieces has every processor take one piece after the other.
func inPieces(set *tables.Set, all []func(*pieceWork) error) error {
	var next atomic.Int64
	workers := min(runtime.GOMAXPROCS(0), len(all))
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for n := range workers {
		wg.Go(func() {
			w := pieceWork{scan: set.Scanner()}
			defer w.scan.Close()
			for i := next.Add(1) - 1; i < int64(len(all)) && errs[n] == nil; i = next.Add(1) - 1 {
				if errs[n] = all[i](&w); errs[n] != nil {
					next.Store(int64(len(all)))
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// each calls fn with the records of a piece. What cannot be read is named by its
// bucket.
func (l *loading) each(w *pieceWork, bounds *pebble.IterOptions, fn func(key, value []byte) error) error {
	var refused error
	err := w.scan.Each(bounds.LowerBound, bounds.UpperBound, func(key, value []byte) error {
		refused = fn(key, value)
		return refused
	})
	if err != nil && refused == nil {
		return l.d.unreadable(err)
	}
	return err
}

func (d *database) unreadable(err error) error {
	return d.nameDamage(spec.Errorf(spec.CodeCorrupt, "the state cannot be read: %w", err))
}

// A keyedSum is a multiset whose hashes are keyed anew at every start: sets that differ have the same sum with a chance of
// 2^-128.
type keyedSum [2]uint64

func (m *keyedSum) add(seeds *[2]maphash.Seed, place, leaf *spec.Hash) {
	var b [64]byte
	copy(b[:], place[:])
	copy(b[32:], leaf[:])
	for i := range m {
		m[i] += maphash.Bytes(seeds[i], b[:])
	}
}

func (m *keyedSum) join(o keyedSum) {
	for i := range m {
		m[i] += o[i]
	}
}

// bucketAt returns the bucket of a key of a table ordered by places.
func (t *bucketTree) bucketAt(key []byte) (uint32, error) {
	if len(key) < 33 {
		return 0, spec.Errorf(spec.CodeCorrupt, "a key of the database is too short")
	}
	return binary.BigEndian.Uint32(key[1:5]) >> (32 - t.bits), nil
}
