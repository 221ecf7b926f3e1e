// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A SnapshotHead is what commits to the state at a snapshot size. The caller has
// verified all of it.
type SnapshotHead struct {
	_          struct{} `cbor:",toarray"`
	Size       uint64
	Frontier   []spec.Hash // hashes of the log's right edge, largest subtree first
	Leaf       []byte      // the StateRoot at Size − 1
	LeafProof  []spec.Hash // that it stands there in the log of Size leaves
	ChunkRoots []spec.Hash // LiveChunks of them, under the leaf's live_root
	RuleRoots  []spec.Hash // RuleChunks of them, under its rules_root
}

// A Staging is a database in the making from the chunks of one snapshot. Chunks may
// be put by any number of goroutines. What was written survives a crash; nothing of
// it can be looked up before Install.
type Staging struct {
	s      *Store
	name   string
	pebble *pebble.DB
	head   SnapshotHead

	mu      sync.Mutex
	done    [2]map[uint32]chunkCounts // by kind of chunk: written
	pending [2]map[uint32]*checked    // verified, and not written yet
	flying  [2]map[uint32]*checked    // being written
	aside   []*aside
	bytes   int // of pending
	closed  bool

	writing sync.RWMutex  // held for reading by who writes some
	room    chan struct{} // as many write at once
	files   atomic.Uint32 // number of the last
	warm    *warming      // what is to be kept in memory
}

// chunkCounts are what a chunk holds of what a store counts.
type chunkCounts struct {
	_       struct{} `cbor:",toarray"`
	Live    uint64
	Entries uint64
}

// Kinds of chunks.
const (
	chunkLive = iota
	chunkRules
)

// stagingFile in the store's directory names the database in the making.
const stagingFile = "STAGING"

var (
	stagedKey    = []byte{tableMeta, 'S'} // → SnapshotHead
	stagedPrefix = []byte{tableMeta, 'T'} // kind, index → chunkCounts
)

func stagedChunkKey(kind int, index uint32) []byte {
	return binary.BigEndian.AppendUint32(append(stagedPrefix[:2:2], byte(kind)), index)
}

// Stage begins a database from the snapshot of head, or goes on with the one that
// was begun from the same. A staging of another snapshot is given up.
func (s *Store) Stage(head *SnapshotHead) (*Staging, error) {
	if len(head.ChunkRoots) != LiveChunks || len(head.RuleRoots) != RuleChunks {
		return nil, spec.Errorf(spec.CodeMalformed, "a snapshot has roots of %d and %d chunks", LiveChunks, RuleChunks)
	}
	s.making.Lock()
	defer s.making.Unlock()
	st, err := s.resume()
	if err != nil {
		return nil, err
	}
	if st != nil && st.head.Size == head.Size && slices.Equal(st.head.ChunkRoots, head.ChunkRoots) && slices.Equal(st.head.RuleRoots, head.RuleRoots) {
		return st, nil
	}
	if st != nil {
		if err := st.Abandon(); err != nil {
			return nil, err
		}
	}
	return s.stage(head)
}

// Staged returns what the staging that was begun is of, or nil when there is none.
func (s *Store) Staged() (*SnapshotHead, error) {
	s.making.Lock()
	defer s.making.Unlock()
	st, err := s.resume()
	if err != nil || st == nil {
		return nil, err
	}
	return &st.head, st.Close()
}

func (s *Store) stage(head *SnapshotHead) (*Staging, error) {
	fs := s.opts.FS
	s.mu.RLock()
	name := next(s.db.name)
	s.mu.RUnlock()
	dir := fs.PathJoin(s.dir, name)
	err := fs.RemoveAll(dir)
	if err == nil {
		err = fs.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("beginning a staging: %w", err)
	}
	p, err := s.openStaging(name, true)
	if err != nil {
		return nil, err
	}
	b, err := spec.Encode(head)
	if err == nil {
		err = p.Set(stagedKey, b, pebble.Sync)
	}
	if err == nil {
		err = writeFile(fs, fs.PathJoin(s.dir, stagingFile+".new"), []byte(name))
	}
	if err == nil {
		err = fs.Rename(fs.PathJoin(s.dir, stagingFile+".new"), fs.PathJoin(s.dir, stagingFile))
	}
	if err == nil {
		err = syncDir(fs, s.dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("beginning a staging: %w", err), p.Close())
	}
	return newStaging(s, name, p, *head), nil
}

// openStaging opens a database in the making. What is damaged in it ends nothing.
func (s *Store) openStaging(name string, create bool) (*pebble.DB, error) {
	o := s.opts
	o.staging, o.damage = true, &spotter{log: o.Logger}
	return openPebble(o.FS.PathJoin(s.dir, name), &o, create)
}

func newStaging(s *Store, name string, p *pebble.DB, head SnapshotHead) *Staging {
	s.stagings.Add(1)
	st := &Staging{s: s, name: name, pebble: p, head: head, room: make(chan struct{}, runtime.GOMAXPROCS(0)), warm: &warming{keyed: s.opts.Keyed}}
	for kind := range st.done {
		st.done[kind], st.pending[kind], st.flying[kind] = map[uint32]chunkCounts{}, map[uint32]*checked{}, map[uint32]*checked{}
	}
	return st
}

// staged returns the name of the database in the making, or "".
func (s *Store) staged() (string, error) {
	f, err := s.opts.FS.Open(s.opts.FS.PathJoin(s.dir, stagingFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading which database is in the making: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return "", fmt.Errorf("reading which database is in the making: %w", err)
	}
	if !databaseName.Match(b) {
		return "", nil
	}
	return string(b), nil
}

// begun names the staging that was begun, or "". One that is the database by now is
// forgotten.
func (s *Store) begun() (name string, err error) {
	if name, err = s.staged(); err != nil || name == "" {
		return "", err
	}
	s.mu.RLock()
	inUse := s.db.name == name
	s.mu.RUnlock()
	if inUse {
		return "", s.forgetStaging()
	}
	return name, nil
}

// resume opens the staging that was begun, or returns nil. One that cannot be read
// is given up: all in it can be fetched again.
func (s *Store) resume() (*Staging, error) {
	name, err := s.begun()
	if err != nil || name == "" {
		return nil, err
	}
	p, err := s.openStaging(name, false)
	if err != nil {
		s.opts.Logger.Warn("a staging cannot be resumed, and is given up", "error", err)
		return nil, s.giveUp(name)
	}
	st := newStaging(s, name, p, SnapshotHead{})
	if err := st.load(); err != nil {
		s.opts.Logger.Warn("a staging cannot be resumed, and is given up", "error", err)
		return nil, errors.Join(st.end(), s.giveUp(name))
	}
	return st, nil
}

func (s *Store) giveUp(name string) error {
	return errors.Join(s.forgetStaging(), s.opts.FS.RemoveAll(s.opts.FS.PathJoin(s.dir, name)))
}

// dropStaging removes a staging that nobody goes on with, for a purge: what it holds may
// be erased. open says that one is gone on with, and stays.
func (s *Store) dropStaging() (open bool, err error) {
	s.making.Lock()
	defer s.making.Unlock()
	if s.stagings.Load() > 0 {
		return true, nil
	}
	name, err := s.begun()
	if err != nil || name == "" {
		return false, err
	}
	return false, s.giveUp(name)
}

func (s *Store) forgetStaging() error {
	err := s.opts.FS.Remove(s.opts.FS.PathJoin(s.dir, stagingFile))
	if err == nil {
		err = syncDir(s.opts.FS, s.dir)
	}
	if err != nil {
		return fmt.Errorf("ending a staging: %w", err)
	}
	return nil
}

func (st *Staging) load() error {
	b, err := get(st.pebble, stagedKey)
	if err != nil {
		return err
	}
	if err := spec.DecodeStored(b, &st.head); err != nil {
		return spec.Errorf(spec.CodeCorrupt, "what a staging is of cannot be read")
	}
	if len(st.head.ChunkRoots) != LiveChunks || len(st.head.RuleRoots) != RuleChunks {
		return spec.Errorf(spec.CodeCorrupt, "what a staging is of cannot be read")
	}
	it, err := st.pebble.NewIter(&pebble.IterOptions{LowerBound: stagedPrefix, UpperBound: after(stagedPrefix)})
	if err != nil {
		return err
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		var c chunkCounts
		key := it.Key()
		if len(key) != 7 || key[2] > chunkRules || spec.Decode(it.Value(), &c) != nil {
			return spec.Errorf(spec.CodeCorrupt, "a chunk of a staging cannot be read")
		}
		st.done[key[2]][binary.BigEndian.Uint32(key[3:])] = c
		st.warm.drop() // what is there already would have to be read
	}
	return errors.Join(it.Error(), st.loadAside())
}

// Missing lists the chunks of live signals and of rules that are not there yet.
func (st *Staging) Missing() (live, rules []uint32) {
	st.mu.Lock()
	defer st.mu.Unlock()
	missing := func(kind int, n uint32) (out []uint32) {
		for i := range n {
			if !st.has(kind, i) {
				out = append(out, i)
			}
		}
		return out
	}
	return missing(chunkLive, LiveChunks), missing(chunkRules, RuleChunks)
}

// Close writes what is verified and keeps it for later.
func (st *Staging) Close() error {
	err := st.Flush()
	st.mu.Lock()
	closed := st.closed
	st.closed = true
	st.mu.Unlock()
	if closed {
		return nil
	}
	return errors.Join(err, st.end())
}

// end closes the database, once.
func (st *Staging) end() error {
	defer st.s.stagings.Add(-1)
	return st.pebble.Close()
}

// Abandon removes the staging.
func (st *Staging) Abandon() error {
	st.mu.Lock()
	closed := st.closed
	st.closed = true
	st.mu.Unlock()
	var err error
	if !closed {
		err = st.end()
	}
	return errors.Join(err, st.s.giveUp(st.name))
}

// Install makes the staging the store's database in one step, durable on return.
// What an earlier run staged is hashed once more on the way. accept is called once, before any of it
// can be seen; its error keeps the old database.
func (st *Staging) Install(ctx context.Context, accept func() error) error {
	if err := st.Flush(); err != nil {
		return err
	}
	if live, rules := st.Missing(); len(live)+len(rules) > 0 {
		return fmt.Errorf("installing a snapshot of which %d chunks are missing", len(live)+len(rules))
	}
	s := st.s
	s.purging.Lock()
	defer s.purging.Unlock()
	s.writer.Lock()
	defer s.writer.Unlock()
	if err := st.finish(ctx); errors.Is(err, errAside) {
		return errors.Join(fmt.Errorf("installing a snapshot: %w", err), st.Abandon())
	} else if err != nil {
		return fmt.Errorf("installing a snapshot: %w", err)
	}
	d, err := st.open()
	if err != nil {
		return fmt.Errorf("installing a snapshot: %w", err)
	}
	if err := accept(); err != nil {
		return errors.Join(err, d.pebble.Close())
	}
	if err := s.replace(d); err != nil {
		return err
	}
	return s.forgetStaging()
}

// finish writes what a database has beside chunks, and closes the staging.
func (st *Staging) finish(ctx context.Context) error {
	var root spec.StateRoot
	if err := spec.Decode(st.head.Leaf, &root); err != nil {
		return err
	}
	c := counts{Leaves: st.head.Size}
	for _, n := range st.done[chunkLive] {
		c.Live += n.Live
	}
	for _, n := range st.done[chunkRules] {
		c.Entries += n.Entries
	}
	if c.Live != root.LiveCount {
		return spec.Errorf(spec.CodeCorrupt, "the snapshot has %d live signals where the log says %d", c.Live, root.LiveCount)
	}
	b := st.pebble.NewBatch()
	defer b.Close()
	for _, kv := range [...]struct {
		key []byte
		v   any
	}{{countsKey, &c}, {appliedKey, &appliedWire{}}} {
		enc, err := spec.Encode(kv.v)
		if err != nil {
			return err
		}
		if err := b.Set(kv.key, enc, nil); err != nil {
			return err
		}
	}
	if err := st.writeLog(b); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	if err := st.spread(ctx); err != nil {
		return err
	}
	if err := st.removeAside(func(string) bool { return true }); err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.closed = true
	return st.end()
}

// open opens the finished database. What it keeps in memory is there already if no
// chunk is from an earlier run.
func (st *Staging) open() (*database, error) {
	warm := st.warm.finish()
	if warm == nil {
		return st.s.openDatabase(st.name, false)
	}
	return st.s.openWarm(st.name, warm)
}

// writeLog writes the end of the log: the edge, and the last leaf with what proves
// it.
func (st *Staging) writeLog(b *pebble.Batch) error {
	h := &st.head
	var err error
	set := func(key, value []byte) {
		if err == nil {
			err = b.Set(key, value, nil)
		}
	}
	for i, p := range tlog.EdgePlaces(h.Size) {
		set(logHashKey(p.Level, p.Index), h.Frontier[i][:])
	}
	leaf := spec.LeafHash(h.Leaf)
	set(logHashKey(0, h.Size-1), leaf[:])
	proof := h.LeafProof
	for level, index := 0, h.Size-1; index > 0 && len(proof) > 0; level, index = level+1, index>>1 {
		if index&1 == 1 {
			set(logHashKey(level, index-1), proof[0][:])
			proof = proof[1:]
		}
	}
	set(logKey(h.Size-1), h.Leaf)
	set(firstKey, binary.BigEndian.AppendUint64(nil, h.Size))
	return err
}
