// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A Tx is one atomic batch in the making: what is written is read back at once,
// nothing is visible to others before Commit. It belongs to one goroutine and
// ends with Commit or Drop.
type Tx struct {
	s       *Store
	d       *database
	batch   *pebble.Batch
	edge    tlog.Edge
	counts  counts
	changed map[string][]byte // records written, nil when deleted
	seen    hot               // records read
	dirty   [2]dirtyBuckets   // of the live tree and of the rules' tree
	added   []*liveSignal
	removed []*liveSignal
	listed  []listingChange
	touched map[spec.Hash]struct{} // keys of signals that became live
	absent  spec.Hash              // operation that was not in the log, and of which nothing is held yet
	held    spec.Hash              // operation whose opening is decoded in opening
	opening *spec.Opening
	group   uint64 // where the last group ended
	mark    *mark  // the last snapshot size that the batch passed, or nil
	unsaid  bool   // see Unsaid
	done    bool
}

// Begin starts a batch. It waits for the batch before it to end, and fails once
// the store is closed.
func (s *Store) Begin() (*Tx, error) {
	s.writer.Lock()
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		s.writer.Unlock()
		return nil, io.ErrClosedPipe
	}
	for _, c := range s.db.buckets {
		c.trim()
	}
	return &Tx{
		s: s, d: s.db, batch: s.db.pebble.NewIndexedBatch(), edge: s.db.edge.Clone(), counts: s.db.counts,
		changed: map[string][]byte{}, seen: hot{}, dirty: [2]dirtyBuckets{newDirtyBuckets(), newDirtyBuckets()},
		touched: map[spec.Hash]struct{}{}, group: s.db.edge.Size,
	}, nil
}

// Worked grows with every record that a batch reads or writes, every bucket that it
// hashes and every signal that it lists: with whatever a large one does much of.
func (s *Store) Worked() uint64 { return s.worked.Load() }

func (t *Tx) step() { t.s.worked.Add(1) }

func (t *Tx) stepping(fn func(key, value []byte) bool) func(key, value []byte) bool {
	return func(key, value []byte) bool {
		t.step()
		return fn(key, value)
	}
}

// Drop forgets the batch. It does nothing after Commit.
func (t *Tx) Drop() {
	if t.done {
		return
	}
	t.done = true
	t.d.live.rollback()
	t.d.rules.rollback()
	for i := range t.dirty {
		t.d.buckets[i].forget(t.dirty[i].done)
	}
	t.batch.Close()
	t.s.writer.Unlock()
}

// Commit makes the batch visible, together with how far the replica is; it is
// durable after the next Sync. Lookups find what it lists, and no longer find
// what it unlists, when Commit returns. After an error the store must be closed.
func (t *Tx) Commit(a Applied) error {
	defer t.Drop()
	if _, err := t.Roots(); err != nil {
		return err
	}
	wire := appliedWire{Index: a.Index, Term: a.Term, Conf: a.Conf, ConfIndex: a.ConfIndex}
	if err := t.setCBOR(appliedKey, &wire); err != nil {
		return err
	}
	t.counts.Leaves = t.edge.Size
	if err := t.setCBOR(countsKey, &t.counts); err != nil {
		return err
	}
	if t.mark != nil {
		t.s.keep(t.d, t.mark)
	}
	if err := t.batch.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("committing to the database: %w", err)
	}
	t.done = true
	if err := t.publish(a); err != nil {
		t.s.writer.Unlock()
		return err
	}
	t.s.writer.Unlock()
	return t.batch.Close()
}

// publish brings memory in line with what was committed.
func (t *Tx) publish(a Applied) error {
	d := t.d
	for _, c := range t.listed {
		t.step()
		if err := d.list(c.signal, c.live); err != nil {
			return err
		}
	}
	for _, l := range t.removed {
		t.step()
		listed, err := anyUnder(d.pebble, livePrefix(l.k))
		if err != nil {
			return err
		}
		if listed {
			continue // by another entry
		}
		d.entries.Clear(d.entries.KeyOf(l.Type, l.Value, &l.k))
		d.exact.remove(l)
		if f := d.finders[l.Type]; f != nil {
			f.remove(l.Value)
		}
	}
	for _, l := range t.added {
		t.step()
		d.exact.add(l)
		if f := d.finders[l.Type]; f != nil {
			if err := f.add(l.Value); err != nil {
				return fmt.Errorf("adding to the index of %s: %w", l.Type, err)
			}
		}
	}
	d.live.commit()
	d.rules.commit()
	maps.Copy(t.seen, t.changed)
	d.hot.keep(t.seen)
	d.decoded.committed(t.changed)
	s := t.s
	s.mu.Lock()
	defer s.mu.Unlock()
	d.edge, d.counts, d.applied = t.edge, t.counts, a
	s.head = d.head()
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// anyUnder reports whether a key begins with prefix.
func anyUnder(r pebble.Reader, prefix []byte) (bool, error) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return false, err
	}
	found := it.First()
	if err := it.Error(); err != nil {
		it.Close()
		return false, err
	}
	return found, it.Close()
}

// Size is the number of leaves in the log so far.
func (t *Tx) Size() uint64 { return t.edge.Size }

// Record returns the record under key as changed so far, or nil.
// It must not be changed.
func (t *Tx) Record(key []byte) ([]byte, error) {
	t.step()
	for _, m := range [3]map[string][]byte{t.changed, t.seen, t.d.hot} {
		if v, ok := m[string(key)]; ok {
			return v, nil
		}
	}
	v, err := get(t.d.pebble, recordKey(key))
	if err == nil {
		t.seen[string(key)] = v
	}
	return v, err
}

// Records calls fn with the records under prefix as changed so far.
func (t *Tx) Records(prefix []byte, fn func(key, value []byte) bool) error {
	return eachRecord(t.batch, prefix, t.stepping(fn))
}

// RecordsFrom is Records beginning at the first key that is not less than from.
func (t *Tx) RecordsFrom(prefix, from []byte, fn func(key, value []byte) bool) error {
	return eachRecordFrom(t.batch, prefix, from, t.stepping(fn))
}

// GroupEnd returns the root of the log as changed so far, if a group ends there.
func (t *Tx) GroupEnd() (root spec.Hash, ok bool) {
	if t.edge.Size != t.group {
		return root, false
	}
	return t.edge.Root(), true
}

// Listed returns how many live entries list a signal, as changed so far.
func (t *Tx) Listed(s spec.Signal) (int, error) {
	t.step()
	listed := t.d.exact.has(s)
	if !listed && len(t.touched) == 0 {
		return 0, nil // without the key, which takes longer to compute
	}
	k := s.Key()
	if _, touched := t.touched[k]; !touched && !listed {
		return 0, nil
	}
	return countUnder(t.batch, livePrefix(k))
}

// Find returns the log index of an operation.
func (t *Tx) Find(id spec.Hash) (index uint64, found bool, err error) {
	if index, found, err = find(t.batch, id); err == nil && !found {
		t.absent = id
	}
	return index, found, err
}

// Append adds a leaf to the log and the operation in it, if it is one, to the
// operations that Find finds.
func (t *Tx) Append(leaf []byte) error {
	t.step()
	index, hash := t.edge.Size, spec.LeafHash(leaf)
	var err error
	set := func(key, value []byte) {
		if err == nil {
			err = t.batch.Set(key, value, nil)
		}
	}
	t.edge.Append(hash, func(level int, i uint64, h spec.Hash) { set(logHashKey(level, i), h[:]) })
	set(logKey(index), leaf)
	if spec.IsEnvelope(leaf) {
		set(operationKey(hash), binary.BigEndian.AppendUint64(nil, index))
	}
	if err == nil && spec.EndsGroup(leaf) {
		err = t.endGroup(leaf)
	}
	return err
}

// Put sets or, with a nil value, deletes a record of the rules' state.
func (t *Tx) Put(key, value []byte) error {
	t.step()
	place := spec.RulePlace(key)
	change := leafChange{place: place[:], gone: value == nil}
	t.changed[string(key)] = value
	if value == nil {
		t.dirty[1].change(t.d.rules.bucketOf(place), change)
		return errors.Join(t.batch.Delete(ruleLeafKey(place), nil), t.batch.Delete(recordKey(key), nil))
	}
	change.leaf = spec.RuleLeaf(key, value)
	t.dirty[1].change(t.d.rules.bucketOf(place), change)
	return errors.Join(t.batch.Set(ruleLeafKey(place), change.leaf[:], nil), t.batch.Set(recordKey(key), value, nil))
}

// dirtyBuckets are the buckets of a tree that a batch changed.
type dirtyBuckets struct {
	changes map[uint32][]leafChange // since the last Roots
	done    map[uint32]struct{}     // before it as well
}

func newDirtyBuckets() dirtyBuckets {
	return dirtyBuckets{map[uint32][]leafChange{}, map[uint32]struct{}{}}
}

func (d *dirtyBuckets) change(b uint32, c leafChange) { d.changes[b] = append(d.changes[b], c) }

// Roots commits to the state as changed so far.
func (t *Tx) Roots() (spec.Roots, error) {
	if err := t.rehash(0, t.d.live, liveLeaf); err != nil {
		return spec.Roots{}, err
	}
	err := t.rehash(1, t.d.rules, ruleLeaf)
	return spec.Roots{
		Live: t.d.live.root(), LiveCount: t.counts.Live + t.counts.Withheld,
		Rules: t.d.rules.root(), LiveKnown: t.counts.Withheld == 0,
	}, err
}

// rehash computes the roots of changed buckets again. A bucket that is read for it
// must hash to the root that it had, and one that is in memory must have had what
// the table had, so that damage never enters a root: such a bucket is named with a
// *BucketError.
func (t *Tx) rehash(which int, tree *bucketTree, leaf func(key, value []byte) (spec.Hash, error)) error {
	dirty, cache := &t.dirty[which], t.d.buckets[which]
	if len(dirty.changes) == 0 {
		return nil
	}
	changed := slices.Sorted(maps.Keys(dirty.changes))
	if err := t.fetch(cache, tree, changed, leaf); err != nil {
		return err
	}
	roots := make([]spec.Hash, len(changed))
	var scratch []spec.Hash
	for i, b := range changed {
		t.step()
		dirty.done[b] = struct{}{}
		leaves, ok := cache.apply(b, dirty.changes[b])
		if !ok {
			return t.s.damaged(tree.wrong(cache.table, b, notAsWritten, nil))
		}
		scratch = append(scratch[:0], leaves...)
		roots[i] = spec.TreeRoot(scratch)
	}
	tree.set(changed, roots)
	clear(dirty.changes)
	return nil
}

// fetch brings buckets into memory, as of the last commit.
func (t *Tx) fetch(cache *bucketCache, tree *bucketTree, buckets []uint32, leaf func(key, value []byte) (spec.Hash, error)) (err error) {
	var it *pebble.Iterator // opened for the first bucket that must be read
	defer func() {
		if it != nil {
			err = errors.Join(err, it.Close())
		}
	}()
	for _, b := range buckets {
		t.step()
		if cache.has(b, tree) {
			continue
		}
		if it == nil {
			if it, err = t.d.pebble.NewIter(&pebble.IterOptions{LowerBound: []byte{cache.table}, UpperBound: []byte{cache.table + 1}}); err != nil {
				return err
			}
		}
		if damage := cache.load(it, tree, b, leaf); damage != nil {
			return t.s.damaged(damage)
		}
	}
	return nil
}

func (t *Tx) setCBOR(key []byte, v any) error {
	b, err := spec.Encode(v)
	if err != nil {
		return err
	}
	return t.batch.Set(key, b, nil)
}
