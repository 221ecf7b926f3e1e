// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/binary"
	"fmt"
	"io"
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
	dirty   [2]map[uint32]struct{} // buckets of the live tree and of the rules' tree
	formers formers                // what changes in dirty buckets of the live tree replaced
	added   []*liveSignal
	removed []*liveSignal
	touched map[spec.Hash]struct{} // keys of signals that became live
	held    spec.Hash              // operation whose opening is decoded in opening
	opening *spec.Opening
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
	return &Tx{
		s: s, d: s.db, batch: s.db.pebble.NewIndexedBatch(), edge: s.db.edge.Clone(), counts: s.db.counts,
		dirty: [2]map[uint32]struct{}{{}, {}}, formers: formers{}, touched: map[spec.Hash]struct{}{},
	}, nil
}

// Drop forgets the batch. It does nothing after Commit.
func (t *Tx) Drop() {
	if t.done {
		return
	}
	t.done = true
	t.d.live.rollback()
	t.d.rules.rollback()
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
	for _, l := range t.removed {
		listed, err := anyUnder(d.pebble, livePrefix(l.k))
		if err != nil {
			return err
		}
		if listed {
			continue // by another entry
		}
		d.exact.remove(l)
		if f := d.finders[l.Type]; f != nil {
			f.remove(l.Value)
		}
	}
	for _, l := range t.added {
		d.exact.add(l)
		if f := d.finders[l.Type]; f != nil {
			if err := f.add(l.Value); err != nil {
				return fmt.Errorf("adding to the index of %s: %w", l.Type, err)
			}
		}
	}
	d.live.commit()
	d.rules.commit()
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
func (t *Tx) Record(key []byte) ([]byte, error) { return get(t.batch, recordKey(key)) }

// Records calls fn with the records under prefix as changed so far.
func (t *Tx) Records(prefix []byte, fn func(key, value []byte) bool) error {
	return eachRecord(t.batch, prefix, fn)
}

// RecordsFrom is Records beginning at the first key that is not less than from.
func (t *Tx) RecordsFrom(prefix, from []byte, fn func(key, value []byte) bool) error {
	return eachRecordFrom(t.batch, prefix, from, fn)
}

// Listed returns how many live entries list a signal, as changed so far.
func (t *Tx) Listed(s spec.Signal) (int, error) {
	k := s.Key()
	if _, touched := t.touched[k]; !touched && !t.d.exact.has(s) {
		return 0, nil
	}
	return countUnder(t.batch, livePrefix(k))
}

// Find returns the log index of an operation.
func (t *Tx) Find(id spec.Hash) (uint64, bool, error) { return find(t.batch, id) }

// Append adds a leaf to the log and the operation in it, if it is one, to the
// operations that Find finds.
func (t *Tx) Append(leaf []byte) error {
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
	return err
}

// Put sets or, with a nil value, deletes a record of the rules' state.
func (t *Tx) Put(key, value []byte) error {
	place := spec.RulePlace(key)
	t.dirty[1][t.d.rules.bucketOf(place)] = struct{}{}
	if value == nil {
		if err := t.batch.Delete(ruleLeafKey(place), nil); err != nil {
			return err
		}
		return t.batch.Delete(recordKey(key), nil)
	}
	leaf := spec.RuleLeaf(key, value)
	if err := t.batch.Set(ruleLeafKey(place), leaf[:], nil); err != nil {
		return err
	}
	return t.batch.Set(recordKey(key), value, nil)
}

// Roots commits to the state as changed so far.
func (t *Tx) Roots() (spec.Roots, error) {
	err := t.rehash(t.d.live, tableLive, t.dirty[0], liveLeaf)
	if err != nil {
		return spec.Roots{}, err
	}
	err = t.rehash(t.d.rules, tableRuleLeaf, t.dirty[1], ruleLeaf)
	return spec.Roots{
		Live: t.d.live.root(), LiveCount: t.counts.Live + t.counts.Withheld,
		Rules: t.d.rules.root(), LiveKnown: t.counts.Withheld == 0,
	}, err
}

// rehash computes the roots of changed buckets again. Of the live tree it first
// checks that what a bucket held before is what its root was made from, so that
// damage never enters a root: such a bucket is named with a *BucketError.
func (t *Tx) rehash(tree *bucketTree, table byte, dirty map[uint32]struct{}, leaf func(key, value []byte) (spec.Hash, error)) error {
	if len(dirty) == 0 {
		return nil
	}
	it, err := t.batch.NewIter(&pebble.IterOptions{LowerBound: []byte{table}, UpperBound: []byte{table + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	var leaves []spec.Hash
	for _, b := range sortedKeys(dirty) {
		leaves = leaves[:0]
		old := t.formers.before(b)
		for it.SeekGE(bucketKey(table, tree.begin(b))); it.Valid() && tree.bucketOf(spec.Hash(it.Key()[1:33])) == b; it.Next() {
			h, err := leaf(it.Key(), it.Value())
			if err != nil {
				return t.s.damaged(tree.wrong(table, b, notAsWritten, err))
			}
			leaves = append(leaves, h)
			if table == tableLive {
				old.next(it.Key(), h)
			}
		}
		if err := it.Error(); err != nil {
			return t.s.damaged(tree.wrong(table, b, notReadable, err))
		}
		if table == tableLive && old.root() != tree.nodes[uint32(1)<<tree.bits+b] {
			return t.s.damaged(tree.wrong(table, b, notAsWritten, nil))
		}
		tree.set(b, spec.TreeRoot(leaves))
		delete(dirty, b)
		delete(t.formers, b)
	}
	return nil
}

func sortedKeys(m map[uint32]struct{}) []uint32 {
	out := make([]uint32, 0, len(m))
	for b := range m {
		out = append(out, b)
	}
	slices.Sort(out)
	return out
}

func (t *Tx) setCBOR(key []byte, v any) error {
	b, err := spec.Encode(v)
	if err != nil {
		return err
	}
	return t.batch.Set(key, b, nil)
}
