// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
)

// A TreeCheck is one of the trees over the state twice: as the database's files have
// it now, and as the log says that it is.
type TreeCheck struct {
	Size uint64 // of the log
	disk *bucketTree
	want *bucketTree
}

// CheckLive hashes every live signal again. A bucket that cannot be read hashes to
// something that nothing else does.
func (s *Store) CheckLive(ctx context.Context) (*TreeCheck, error) {
	t := &TreeCheck{disk: newBucketTree(liveBits), want: newBucketTree(liveBits)}
	err := s.read(func(d *database) error {
		s.writer.Lock() // the tree is that of the last commit only between batches
		r := d.pebble.NewSnapshot()
		copy(t.want.nodes, d.live.nodes)
		t.Size = d.edge.Size
		s.writer.Unlock()
		defer r.Close()
		return t.disk.scan(ctx, r)
	})
	return t, err
}

// scan fills the tree from the live signals of r.
func (t *bucketTree) scan(ctx context.Context, r pebble.Reader) error {
	var roots []bucketRoot
	for i := range uint32(LiveChunks) {
		if err := ctx.Err(); err != nil {
			return err
		}
		c := newChunkBuckets(i, liveBits, liveChunkBits)
		bounds := &pebble.IterOptions{LowerBound: bucketKey(tableLive, t.begin(c.first)), UpperBound: []byte{tableLive + 1}}
		if i+1 < LiveChunks {
			bounds.UpperBound = bucketKey(tableLive, t.begin(c.first+uint32(len(c.leaves))))
		}
		it, err := r.NewIter(bounds)
		if err != nil {
			return err
		}
		for it.First(); it.Valid(); it.Next() {
			c.add(place(it.Key()), diskLeaf(it.Key(), it.Value()))
		}
		if err := it.Close(); err != nil {
			return fmt.Errorf("hashing the live signals: %w", err)
		}
		for b, h := range c.roots() {
			if h != spec.EmptyRoot {
				roots = append(roots, bucketRoot{c.first + uint32(b), h})
			}
		}
	}
	t.load(roots)
	return nil
}

// diskLeaf is the leaf of a record if its value and salt are what its key and leaf
// say; else the zero hash, which no leaf has.
func diskLeaf(key, value []byte) spec.Hash {
	l, err := parseLive(key, value)
	if err != nil || !l.genuine() {
		return spec.Hash{}
	}
	return spec.LiveLeaf(l.k, l.C, l.Meta)
}

// genuine reports whether the signal stands where it belongs and is what its
// commitment opens to. That its entry says so as well only the bucket's root tells.
func (l *liveSignal) genuine() bool {
	o := l.opened()
	return o.SignalKey() == l.k && o.Commitment() == l.C
}

// Damaged reports whether anything below a node is not what the log says.
func (t *TreeCheck) Damaged(level int, index uint64) bool {
	i := uint64(1)<<level + index
	return t.disk.nodes[i] != t.want.nodes[i]
}

// LiveBits is the level of the buckets in the tree over the live signals.
const LiveBits = liveBits

// ChunkOfBucket is the chunk that holds a bucket of live signals.
func ChunkOfBucket(bucket uint64) uint32 { return uint32(bucket >> (liveBits - liveChunkBits)) }

// RepairLive puts a damaged bucket in place again, durable on return, with what a
// chunk holds of it, which is checked against root. Where the bucket has changed
// since the chunk's size, records that are still good here go before those of the
// chunk. It fails with BAD_PROOF for a chunk that is not of that root, and with
// CORRUPT, changing nothing, when the bucket cannot be made what the log says: a
// chunk of a later size may do.
func (s *Store) RepairLive(bucket uint32, chunk []byte, root spec.Hash) error {
	leaves, _, err := checkChunk(ChunkOfBucket(uint64(bucket)), chunk, root, s.opts.Keyed)
	if err != nil {
		return err
	}
	s.writer.Lock()
	defer s.writer.Unlock()
	err = s.read(func(d *database) error {
		r := &repair{d: d, bucket: bucket, theirs: map[string][]byte{}, ours: map[string][]byte{}, present: map[string]bool{}}
		for i := range leaves {
			if l := &leaves[i]; d.live.bucketOf(l.k) == bucket {
				r.theirs[string(liveKey(l.k, spec.Hash(l.entry())))] = appendLive(nil, &l.liveView)
			}
		}
		if err := r.read(); err != nil {
			return err
		}
		good := findRecords(r.theirs, r.ours, r.hashesRight)
		if good == nil {
			return d.live.wrong(tableLive, bucket, "what a peer has of it is not what it was here", nil)
		}
		return r.write(good)
	})
	if err != nil {
		return err
	}
	s.repaired()
	return nil
}

// repaired forgets the damage that was found: a Verify that follows finds what else
// there is.
func (s *Store) repaired() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.damage = nil
}

// A repair is records of one bucket by their keys.
type repair struct {
	d       *database
	bucket  uint32
	theirs  map[string][]byte
	ours    map[string][]byte // that are good by themselves
	present map[string]bool
}

// read reads what the bucket has now.
func (r *repair) read() error {
	it, err := r.d.pebble.NewIter(&pebble.IterOptions{LowerBound: bucketKey(tableLive, r.d.live.begin(r.bucket)), UpperBound: []byte{tableLive + 1}})
	if err != nil {
		return err
	}
	for it.First(); it.Valid() && r.d.live.bucketOf(place(it.Key())) == r.bucket; it.Next() {
		r.present[string(it.Key())] = true
		if l, err := parseLive(it.Key(), it.Value()); err == nil && l.genuine() {
			r.ours[string(it.Key())] = bytes.Clone(it.Value())
		}
	}
	return errors.Join(it.Error(), it.Close())
}

// findRecords returns records that are right together, or nil: those of the chunk;
// ours with the chunk's for what is missing; and these with one record of the chunk in
// the place of ours, or without one, which may have gone since or never been there.
func findRecords(theirs, ours map[string][]byte, right func(map[string][]byte) bool) map[string][]byte {
	if right(theirs) {
		return theirs
	}
	both := maps.Clone(theirs)
	maps.Copy(both, ours)
	if right(both) {
		return both
	}
	for k, was := range maps.Clone(both) {
		if v, ok := theirs[k]; ok {
			if both[k] = v; right(both) {
				return both
			}
		}
		if delete(both, k); right(both) {
			return both
		}
		both[k] = was
	}
	return nil
}

func (r *repair) hashesRight(records map[string][]byte) bool {
	var leaves []spec.Hash
	for _, k := range sortedRecordKeys(records) {
		leaves = append(leaves, diskLeaf([]byte(k), records[k]))
	}
	return spec.TreeRoot(leaves) == r.d.live.nodes[1<<liveBits+r.bucket]
}

func (r *repair) write(records map[string][]byte) error {
	b := r.d.pebble.NewBatch()
	defer b.Close()
	for k := range r.present {
		if records[k] == nil {
			if err := b.Delete([]byte(k), nil); err != nil {
				return err
			}
		}
	}
	for k, v := range records {
		if err := b.Set([]byte(k), v, nil); err != nil {
			return err
		}
	}
	wrong, right, err := r.differ(records)
	if err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	r.d.buckets[0].forget(map[uint32]struct{}{r.bucket: {}})
	return r.index(wrong, right)
}

// differ returns what is replaced, as far as it can be read, and what is put in
// place.
func (r *repair) differ(records map[string][]byte) (wrong, right []*liveSignal, err error) {
	for k := range r.present {
		now, err := get(r.d.pebble, []byte(k))
		if err != nil {
			return nil, nil, err
		}
		if l, err := parseLive([]byte(k), now); err == nil && string(now) != string(records[k]) {
			wrong = append(wrong, l)
		}
	}
	for k, v := range records {
		l, err := parseLive([]byte(k), v)
		if err != nil {
			return nil, nil, err
		}
		right = append(right, l)
	}
	return wrong, right, nil
}

// index brings the indexes in memory in line: they may have been filled from what
// was damaged.
func (r *repair) index(wrong, right []*liveSignal) error {
	if r.d.damaged {
		return nil
	}
	for _, l := range wrong {
		if err := r.d.list(l, false); err != nil {
			return err
		}
		listed, err := anyUnder(r.d.pebble, livePrefix(statedKey(l)))
		if err != nil {
			return err
		}
		if listed {
			continue
		}
		r.d.exact.remove(l)
		if f := r.d.finders[l.Type]; f != nil {
			f.remove(l.Value)
		}
	}
	for _, l := range right {
		if err := r.d.list(l, true); err != nil {
			return err
		}
		r.d.exact.add(l)
		if f := r.d.finders[l.Type]; f != nil {
			if err := f.add(l.Value); err != nil {
				return fmt.Errorf("adding to the index of %s: %w", l.Type, err)
			}
		}
	}
	return nil
}

// statedKey is the key of what a record says, wherever it stands.
func statedKey(l *liveSignal) spec.Hash {
	o := l.opened()
	return o.SignalKey()
}

func sortedRecordKeys(m map[string][]byte) []string { return slices.Sorted(maps.Keys(m)) }
