// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/lanes"
	"github.com/tocsin-db/tocsin/storage/entries"
	"github.com/tocsin-db/tocsin/storage/tables"
)

// pieceWork is what one processor works with, kept from piece to piece.
type pieceWork struct {
	scan    *tables.Scanner
	queue   lanes.Queue
	leaves  []spec.Hash // of the buckets at hand
	spans   []span      // which of them are whose
	roots   []bucketRoot
	keys    []*keyBatch
	last    spec.Hash // key of the signal before
	places  [placesAtOnce]spec.Hash
	bytes   []byte
	entries *entries.Loader
}

// A span is the leaves of one bucket.
type span struct {
	bucket  uint32
	from, n int
}

const (
	leavesAtOnce = 4096 // whose hashes are gathered before the buckets' roots are computed
	keysAtOnce   = 1024 // values that are added to an index together
	placesAtOnce = 1024 // records whose places and leaves are hashed together
)

// leaf returns where the hash of the next leaf of a bucket goes. Hashes are there
// once settle was called, which happens between buckets.
func (w *pieceWork) leaf(bucket uint32) *spec.Hash {
	last := len(w.spans) - 1
	if last < 0 || w.spans[last].bucket != bucket {
		if len(w.leaves) >= leavesAtOnce {
			w.settle()
		}
		w.spans = append(w.spans, span{bucket: bucket, from: len(w.leaves)})
		last = len(w.spans) - 1
	}
	if len(w.leaves) == cap(w.leaves) {
		w.queue.Flush() // what waits is written to where the leaves are now
		w.leaves = append(make([]spec.Hash, 0, max(2*leavesAtOnce, 2*cap(w.leaves))), w.leaves...)
	}
	w.leaves = w.leaves[:len(w.leaves)+1]
	w.spans[last].n++
	return &w.leaves[len(w.leaves)-1]
}

// settle computes the roots of the buckets at hand, a level of all of them at a
// time (see spec.TreeRoot).
func (w *pieceWork) settle() {
	w.queue.Flush()
	first := len(w.roots)
	for _, s := range w.spans {
		w.roots = append(w.roots, bucketRoot{bucket: s.bucket})
	}
	for again := true; again; w.queue.Flush() {
		again = false
		for i := range w.spans {
			s := &w.spans[i]
			leaves := w.leaves[s.from : s.from+s.n]
			for k := 0; k+1 < s.n; k += 2 {
				addNode(&w.queue, &leaves[k/2], &leaves[k], &leaves[k+1])
			}
			if s.n%2 == 1 {
				leaves[s.n/2] = leaves[s.n-1]
			}
			s.n = (s.n + 1) / 2
			again = again || s.n > 1
		}
	}
	for i, s := range w.spans {
		w.roots[first+i].root = w.leaves[s.from]
	}
	w.leaves, w.spans = w.leaves[:0], w.spans[:0]
}

// take ends a piece and returns its roots.
func (w *pieceWork) take() []bucketRoot {
	w.settle()
	out := w.roots
	w.roots = w.roots[:0]
	return out
}

// livePiece reads live signals.
func (l *loading) livePiece(w *pieceWork, bounds *pebble.IterOptions) error {
	n := uint64(0)
	err := l.each(w, bounds, func(key, value []byte) error {
		bucket, err := l.d.live.bucketAt(key)
		if err != nil {
			return err
		}
		v, ok := quickLive(value)
		if !ok || len(key) != 65 {
			err := spec.Errorf(spec.CodeCorrupt, "a live signal cannot be decoded")
			return l.d.live.wrong(tableLive, bucket, notAsWritten, err)
		}
		// As spec.LiveLeaf: 0x00 ‖ k ‖ c ‖ meta.
		w.queue.Add((*[32]byte)(w.leaf(bucket)), leafPrefix, key[1:33], v.C, v.Meta)
		if n++; n%reportEvery == 0 {
			l.report(reportEvery)
		}
		if err := l.keep(w, key, &v); err != nil {
			return l.d.live.wrong(tableLive, bucket, notAsWritten, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, b := range w.keys {
		if err := l.index(b); err != nil {
			return err
		}
	}
	l.report(n % reportEvery)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live = append(l.live, w.take()...)
	return nil
}

// reportEvery is how many live signals one processor reads before it says so.
const reportEvery = 1 << 13

func (l *loading) report(n uint64) {
	l.tell(float64(l.done.Add(n))/float64(max(1, l.d.counts.Live)), 0)
}

// A keyBatch is what the indexes are to take of one type.
type keyBatch struct {
	name   string
	size   int // of a value, 0 where it varies
	finder *typeLoader
	exact  [][32]byte
	rows   [][32]byte // for a finder that takes many at once
}

// batch returns the batch of a type.
func (l *loading) batch(w *pieceWork, typ []byte) (*keyBatch, error) {
	for _, b := range w.keys { // there are few
		if b.name == string(typ) {
			return b, nil
		}
	}
	t, ok := spec.SignalTypeOf(string(typ))
	if !ok && !l.d.keyed {
		return nil, spec.Errorf(spec.CodeCorrupt, "a live signal is of no known type")
	}
	b := &keyBatch{name: t.Name, size: t.Size, finder: l.types[t.Name]}
	w.keys = append(w.keys, b)
	return b, nil
}

// keep has a live signal added to its indexes.
func (l *loading) keep(w *pieceWork, key []byte, v *liveView) error {
	if keyed := len(v.Type) == 0 && len(v.Value) == 0; keyed != l.d.keyed {
		return spec.Errorf(spec.CodeCorrupt, "a live signal is of another tier than the database")
	}
	b, err := l.batch(w, v.Type)
	if err != nil {
		return err
	}
	if b.size != 0 && len(v.Value) != b.size {
		return spec.Errorf(spec.CodeCorrupt, "a live signal has a value of another size than its type")
	}
	if err := l.listing(w, key, v); err != nil {
		return err
	}
	if string(w.last[:]) == string(key[1:33]) { // as the entry before: keys are those of values
		return nil
	}
	w.last = spec.Hash(key[1:33])
	if b.name == typeDigest {
		b.exact = append(b.exact, [32]byte(v.Value))
	} else {
		b.exact = append(b.exact, w.last)
	}
	if t := b.finder; t != nil && t.rows != nil {
		b.rows = append(b.rows, [32]byte(v.Value))
	} else if t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.add(v.Value)
	}
	if len(b.exact) < keysAtOnce {
		return nil
	}
	return l.index(b)
}

// listing keeps what a live signal says of its entry.
func (l *loading) listing(w *pieceWork, key []byte, v *liveView) error {
	if w.entries == nil {
		w.entries = l.d.entries.Loader()
		l.mu.Lock()
		l.entries = append(l.entries, w.entries)
		l.mu.Unlock()
	}
	said, ok := appendSaid(w.bytes[:0], v.Meta)
	if !ok || string(said.Entry[:]) != string(key[33:]) {
		return spec.Errorf(spec.CodeCorrupt, "a live signal does not say what its entry is")
	}
	w.bytes = said.Said
	return w.entries.Add(l.d.entries.KeyOf(string(v.Type), v.Value, (*spec.Hash)(key[1:33])), &said)
}

// index adds a batch to the indexes.
func (l *loading) index(b *keyBatch) error {
	table := l.d.exact.others
	if b.name == typeDigest {
		table = l.d.exact.digests
	}
	table.AddBatch(b.exact)
	b.exact = b.exact[:0]
	if len(b.rows) == 0 {
		return nil
	}
	err := b.finder.bulk.rows(b.rows)
	b.rows = b.rows[:0]
	return err
}

// ruleLeafPiece reads leaves of the rules' records.
func (l *loading) ruleLeafPiece(w *pieceWork, bounds *pebble.IterOptions) error {
	var sum keyedSum
	err := l.each(w, bounds, func(key, value []byte) error {
		bucket, err := l.d.rules.bucketAt(key)
		if err != nil {
			return err
		}
		if len(key) != 33 || len(value) != len(spec.Hash{}) {
			err := spec.Errorf(spec.CodeCorrupt, "the leaf of a record has another size")
			return l.d.rules.wrong(tableRuleLeaf, bucket, notAsWritten, err)
		}
		leaf := w.leaf(bucket)
		*leaf = spec.Hash(value)
		sum.add(&l.seeds, (*spec.Hash)(key[1:33]), leaf)
		return nil
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaves.join(sum)
	l.rules = append(l.rules, w.take()...)
	return nil
}

// recordPiece reads records of the rules and hashes their places and leaves.
func (l *loading) recordPiece(w *pieceWork, bounds *pebble.IterOptions) error {
	var sum keyedSum
	leaves, n := make([]spec.Hash, placesAtOnce), 0
	settle := func() {
		w.queue.Flush()
		for i := range n {
			sum.add(&l.seeds, &w.places[i], &leaves[i])
		}
		n = 0
	}
	err := l.each(w, bounds, func(key, value []byte) error {
		w.bytes = spec.AppendRulePlace(w.bytes[:0], key[1:])
		w.queue.Add((*[32]byte)(&w.places[n]), w.bytes)
		w.bytes = spec.AppendRuleLeaf(w.bytes[:0], key[1:], value)
		w.queue.Add((*[32]byte)(&leaves[n]), w.bytes)
		if n++; n == placesAtOnce {
			settle()
		}
		return nil
	})
	if err != nil {
		return err
	}
	settle()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records.join(sum)
	return nil
}
