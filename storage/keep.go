// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// SnapshotEvery is how many leaves lie between snapshot sizes (spec/sync.md): each
// is the end of the first group that ends at or behind a multiple.
const SnapshotEvery = 1 << 16

// maxKept is how many snapshots a store keeps.
const maxKept = 2

// A mark is the state at a snapshot size inside of a batch: what the batch had
// changed so far, and what commits to it.
type mark struct {
	State keptState
	batch []byte
}

// keptState says of a snapshot what follows from the trees in memory at its size.
// It is the last file written: a snapshot without it is none.
type keptState struct {
	_          struct{} `cbor:",toarray"`
	Size       uint64
	Frontier   []spec.Hash
	Leaf       []byte // the StateRoot at Size − 1
	LeafProof  []spec.Hash
	ChunkRoots []spec.Hash
	RuleRoots  []spec.Hash
}

// endGroup is called when the leaf that ends a group was appended, at which moment
// the trees in memory are those that it commits to.
func (t *Tx) endGroup(leaf []byte) error {
	from, every := t.group, t.s.opts.SnapshotEvery
	t.group = t.edge.Size
	if every == 0 {
		every = SnapshotEvery
	}
	if t.edge.Size/every == from/every || t.counts.Withheld > 0 {
		return nil
	}
	t.counts.Leaves = t.edge.Size
	counts, err := spec.Encode(&t.counts)
	if err != nil {
		return err
	}
	b := t.d.pebble.NewBatch()
	defer b.Close()
	if err := b.SetRepr(slices.Clone(t.batch.Repr())); err != nil {
		return err
	}
	if err := b.Set(countsKey, counts, nil); err != nil {
		return err
	}
	t.mark = &mark{batch: slices.Clone(b.Repr()), State: keptState{
		Size: t.edge.Size, Frontier: t.edge.Clone().Hashes, Leaf: slices.Clone(leaf),
		ChunkRoots: t.d.live.level(liveChunkBits), RuleRoots: t.d.rules.level(ruleChunkBits),
	}}
	return nil
}

// level returns a copy of the hashes of one level of the tree, 0 for the root.
func (t *bucketTree) level(n int) []spec.Hash { return slices.Clone(t.nodes[1<<n : 2<<n]) }

func keptName(size uint64) string { return "snapshot-" + strconv.FormatUint(size, 10) }

func keptSize(name string) (uint64, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(name, "snapshot-"), 10, 64)
	return n, err == nil && keptName(n) == name
}

// keep makes the snapshot of a mark. It is called by the writer before its batch is
// committed; the files are linked at once, the rest is done behind its back. A
// snapshot that cannot be made is left out: others have it.
func (s *Store) keep(d *database, m *mark) {
	fs, released := s.opts.FS, s.kept.released.Load()
	dir := fs.PathJoin(s.dir, keptName(m.State.Size))
	err := fs.RemoveAll(dir)
	if err == nil {
		err = d.pebble.Checkpoint(dir, pebble.WithFlushedWAL())
	}
	if err != nil {
		s.opts.Logger.Warn("keeping a snapshot", "size", m.State.Size, "error", err)
		return
	}
	s.keeping.Add(1)
	go func() {
		defer s.keeping.Done()
		s.kept.mu.Lock()
		defer s.kept.mu.Unlock()
		if s.kept.released.Load() != released {
			if err := fs.RemoveAll(dir); err != nil {
				s.opts.Logger.Warn("releasing a snapshot", "size", m.State.Size, "error", err)
			}
			return
		}
		if err := s.finishKeep(dir, m); err != nil {
			s.opts.Logger.Warn("keeping a snapshot", "size", m.State.Size, "error", errors.Join(err, fs.RemoveAll(dir)))
			return
		}
		s.kept.add(&Kept{s: s, dir: dir, state: m.State})
	}()
}

// finishKeep applies what the batch had changed, and proves the last leaf.
func (s *Store) finishKeep(dir string, m *mark) error {
	p, err := openKept(dir, s, false)
	if err != nil {
		return err
	}
	b := p.NewBatch()
	err = b.SetRepr(m.batch)
	if err == nil {
		err = b.Commit(pebble.Sync)
	}
	if err == nil {
		m.State.LeafProof, err = tlog.Inclusion(pebbleHashes{p}, m.State.Size, m.State.Size-1)
	}
	if err = errors.Join(err, p.Close()); err != nil {
		return err
	}
	out, err := spec.Encode(&m.State)
	if err != nil {
		return err
	}
	fs := s.opts.FS
	tmp := fs.PathJoin(dir, keptFile+".new")
	if err := writeFile(fs, tmp, out); err != nil {
		return err
	}
	return errors.Join(fs.Rename(tmp, fs.PathJoin(dir, keptFile)), syncDir(fs, dir))
}

// keptFile holds the keptState in a snapshot's directory.
const keptFile = "STATE"

// openKept opens the database of a snapshot. Nothing in it moves by itself.
func openKept(dir string, s *Store, readOnly bool) (*pebble.DB, error) {
	p, err := pebble.Open(dir, &pebble.Options{
		FS: s.opts.FS, Cache: s.opts.cache, ErrorIfNotExists: true, ReadOnly: readOnly, MemTableSize: 4 << 20,
		FormatMajorVersion: pebble.FormatColumnarBlocks, DisableAutomaticCompactions: true, Logger: pebbleLogger{s.opts.Logger, s.opts.Fatal},
	})
	if err != nil {
		return nil, fmt.Errorf("opening a snapshot: %w", err)
	}
	return p, nil
}

// pebbleHashes reads the hashes of the log from any database.
type pebbleHashes struct{ r pebble.Reader }

// LogHash implements tlog.Hashes.
func (p pebbleHashes) LogHash(level int, index uint64) (h spec.Hash, err error) {
	b, err := get(p.r, logHashKey(level, index))
	if err == nil && len(b) != len(h) {
		err = spec.Errorf(spec.CodeNotFound, "the log has no such hash")
	}
	if err != nil {
		return h, err
	}
	return spec.Hash(b), nil
}
