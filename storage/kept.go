// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
)

// keptSnapshots are the snapshots that a store keeps, by size.
type keptSnapshots struct {
	mu       sync.Mutex // held while one is made; never while one is read
	list     []*Kept
	released atomic.Uint64 // how often all were: one that was begun before is not kept
}

// A Kept is the state of one snapshot size, readable while the store goes on. Its
// methods may be called by any number of goroutines; they fail with GONE once it
// was released.
type Kept struct {
	s     *Store
	dir   string
	state keptState

	longest atomic.Int64 // bytes of a chunk so far: the next is about as long

	mu      sync.RWMutex // held for reading by who reads
	pebble  *pebble.DB   // opened when first read
	release bool

	parting sync.Mutex // guards rules
	rules   *ruleFiles
}

// Snapshots lists the snapshots that are kept, the newest first.
func (s *Store) Snapshots() []*Kept {
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	out := slices.Clone(s.kept.list)
	slices.Reverse(out)
	return out
}

// add takes a snapshot and releases those that are too many.
func (k *keptSnapshots) add(n *Kept) {
	k.list = append(slices.DeleteFunc(k.list, func(o *Kept) bool { return o.state.Size == n.state.Size }), n)
	slices.SortFunc(k.list, func(a, b *Kept) int { return int(int64(a.state.Size) - int64(b.state.Size)) })
	for len(k.list) > maxKept {
		k.list[0].drop()
		k.list = k.list[1:]
	}
}

// loadKept finds the snapshots of an earlier run.
func (s *Store) loadKept() error {
	names, err := s.opts.FS.List(s.dir)
	if err != nil {
		return fmt.Errorf("listing the store's directory: %w", err)
	}
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	for _, n := range names {
		size, ok := keptSize(n)
		if !ok {
			continue
		}
		k := &Kept{s: s, dir: s.opts.FS.PathJoin(s.dir, n)}
		if k.load() != nil || k.state.Size != size || size > s.head.Size {
			if err := s.opts.FS.RemoveAll(k.dir); err != nil {
				return fmt.Errorf("removing what an interrupted step left: %w", err)
			}
			continue
		}
		s.kept.add(k)
	}
	return nil
}

// maxKeptState bounds the file of a keptState in bytes.
const maxKeptState = 1 << 20

func (k *Kept) load() error {
	f, err := k.s.opts.FS.Open(k.s.opts.FS.PathJoin(k.dir, keptFile))
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeptState))
	if err != nil {
		return err
	}
	return spec.DecodeStored(b, &k.state)
}

// releaseKept releases every snapshot, those in the making too: what was erased since
// lies in them.
func (s *Store) releaseKept() {
	s.kept.released.Add(1)
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	for _, k := range s.kept.list {
		k.drop()
	}
	s.kept.list = nil
}

// closeKept closes the snapshots and leaves their files.
func (s *Store) closeKept() (err error) {
	s.keeping.Wait()
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	for _, k := range s.kept.list {
		err = firstError(err, k.close())
	}
	s.kept.list = nil
	return err
}

func (k *Kept) close() (err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.release = true
	if k.rules != nil {
		err = k.rules.close()
		k.rules = nil
	}
	if k.pebble != nil {
		err = firstError(err, k.pebble.Close())
		k.pebble = nil
	}
	return err
}

// drop waits for those that read and removes the files.
func (k *Kept) drop() {
	if err := firstError(k.close(), k.s.opts.FS.RemoveAll(k.dir)); err != nil {
		k.s.opts.Logger.Warn("releasing a snapshot", "size", k.state.Size, "error", err)
	}
}

// read calls fn with the database of the snapshot.
func (k *Kept) read(fn func(r pebble.Reader) error) error {
	for {
		k.mu.RLock()
		p, gone := k.pebble, k.release
		if gone {
			k.mu.RUnlock()
			return spec.Errorf(spec.CodeGone, "the snapshot at %d is not kept any more", k.state.Size)
		}
		if p != nil {
			defer k.mu.RUnlock()
			return fn(p)
		}
		k.mu.RUnlock()
		if err := k.open(); err != nil {
			return err
		}
	}
}

func (k *Kept) open() (err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pebble == nil && !k.release {
		k.pebble, err = openKept(k.dir, k.s, true)
	}
	return err
}

// Head returns what commits to the snapshot.
func (k *Kept) Head() SnapshotHead {
	s := &k.state
	return SnapshotHead{Size: s.Size, Frontier: s.Frontier, Leaf: s.Leaf, LeafProof: s.LeafProof, ChunkRoots: s.ChunkRoots, RuleRoots: s.RuleRoots}
}

// Chunk returns a chunk of the live signals. It fails with TOO_LARGE above
// MaxChunk, and with NOT_IN_TIER where the store has keys alone.
func (k *Kept) Chunk(index uint32) ([]byte, error) {
	if k.s.opts.Keyed {
		return nil, spec.Errorf(spec.CodeTier, "this node has no values")
	}
	return k.chunk(index, func(b, _ []byte, v *liveView) []byte { return appendLeaf(b, v) })
}

// Keys is Chunk with k in the place of type and value.
func (k *Kept) Keys(index uint32) ([]byte, error) {
	return k.chunk(index, func(b, key []byte, v *liveView) []byte { return appendKey(b, key[1:33], v) })
}

func (k *Kept) chunk(index uint32, add func(b, key []byte, v *liveView) []byte) (out []byte, err error) {
	out = make([]byte, 0, k.longest.Load())
	err = k.bucketRange(tableLive, liveBits, index<<(liveBits-liveChunkBits), 1<<(liveBits-liveChunkBits), func(key, value []byte) error {
		v, ok := quickLive(value)
		if !ok || len(key) != 65 {
			return spec.Errorf(spec.CodeCorrupt, "a live signal cannot be decoded")
		}
		if out = add(out, key, &v); len(out) > MaxChunk {
			return errTooLarge
		}
		return nil
	})
	if n := int64(len(out)); err == nil && n > k.longest.Load() {
		k.longest.Store(n) // which of two remains does not matter
	}
	return out, err
}

var errTooLarge = spec.Errorf(spec.CodeTooLarge, "a chunk has at most %d bytes", MaxChunk)

// bucketRange calls fn with what stands in n buckets of a table ordered by places.
func (k *Kept) bucketRange(table byte, bits int, first, n uint32, fn func(key, value []byte) error) error {
	return k.read(func(r pebble.Reader) error {
		o := &pebble.IterOptions{LowerBound: bucketKey(table, first<<(32-bits)), UpperBound: []byte{table + 1}}
		if first+n < 1<<bits {
			o.UpperBound = bucketKey(table, (first+n)<<(32-bits))
		}
		it, err := r.NewIter(o)
		if err != nil {
			return err
		}
		defer it.Close()
		for it.First(); it.Valid(); it.Next() {
			if err := fn(it.Key(), it.Value()); err != nil {
				return err
			}
		}
		return it.Error()
	})
}

// The trees over the state, as Nodes takes them.
const (
	LiveTree = 1
	RuleTree = 2
)

// NodeLevels is how many levels below a node Nodes goes.
const NodeLevels = 8

// Nodes returns the hashes eight levels below a node of a tree, or those of the
// buckets where the tree ends before.
func (k *Kept) Nodes(tree, level int, index uint64) ([]spec.Hash, error) {
	bits, chunkBits, roots, table, leaf := liveBits, liveChunkBits, k.state.ChunkRoots, tableLive, liveLeaf
	if tree == RuleTree {
		bits, chunkBits, roots, table, leaf = ruleBits, ruleChunkBits, k.state.RuleRoots, tableRuleLeaf, ruleLeaf
	}
	if tree != LiveTree && tree != RuleTree || level < 0 || level >= bits || index >= 1<<level {
		return nil, spec.Errorf(spec.CodeMalformed, "the trees over the state have no such node")
	}
	to := min(level+NodeLevels, bits)
	n := uint32(1) << (to - level)
	if to <= chunkBits {
		below := slices.Clone(roots)
		for range chunkBits - to {
			below = above(below)
		}
		return below[uint32(index)*n:][:n], nil
	}
	first := uint32(index) << (bits - level)
	buckets := &chunkBuckets{first: first, bits: uint32(bits), leaves: make([][]spec.Hash, n<<(bits-to))}
	err := k.bucketRange(table, bits, first, uint32(len(buckets.leaves)), func(key, value []byte) error {
		h, err := leaf(key, value)
		if err == nil && !buckets.add(place(key), h) {
			err = spec.Errorf(spec.CodeCorrupt, "a leaf stands in another bucket than its own")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	below := buckets.roots()
	for range bits - to {
		below = above(below)
	}
	return below, nil
}

// above returns the hashes one level above, overwriting the ones below.
func above(hashes []spec.Hash) []spec.Hash {
	for i := range len(hashes) / 2 {
		hashes[i] = spec.NodeHash(hashes[2*i], hashes[2*i+1])
	}
	return hashes[:len(hashes)/2]
}

// Rules returns a chunk of the records of the rules: [key, value] one after the
// other, in the order of their places.
func (k *Kept) Rules(index uint32) ([]byte, error) {
	data, err := k.ruleFile(index)
	if err != nil {
		return nil, err
	}
	records, err := readRecords(data)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(records, func(a, b ruleRecord) int { return bytes.Compare(a.place[:], b.place[:]) })
	out := make([]byte, 0, len(data))
	for i := range records {
		out = appendRecord(out, records[i].key, records[i].value)
	}
	return out, nil
}

func appendRecord(b, key, value []byte) []byte {
	return appendString(appendString(appendHead(b, 4, 2), 2, key), 2, value)
}

// Bytes is about what all chunks have together.
func (k *Kept) Bytes() (n uint64) {
	_ = k.read(func(pebble.Reader) error { // which opened the database; it informs only
		for _, table := range []byte{tableLive, tableRecord} {
			b, err := k.pebble.EstimateDiskUsage([]byte{table}, []byte{table + 1})
			if err != nil {
				return err
			}
			n += b
		}
		return nil
	})
	return n
}
