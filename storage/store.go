// SPDX-License-Identifier: Apache-2.0

// Package storage holds what a node knows, in Pebble: the records of the rules,
// the log and its Merkle tree, openings, and the live signals with the indexes
// that answer lookups. All effects of a group of raft entries, the applied index
// included, become visible and survive in one atomic batch.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// Options are what a Store needs from outside. FS, Logger and Fatal are required.
type Options struct {
	FS         vfs.FS
	Logger     *slog.Logger
	Fatal      func(error)           // called before the process must end; need not return
	CacheBytes int64                 // of Pebble's block cache; 0: 64 MiB
	Progress   func(done, of uint64) // how far opening is, counted in live signals; or nil
	// SnapshotEvery is how many leaves lie between snapshot sizes; 0: SnapshotEvery.
	// Nodes that differ in it have no snapshot in common.
	SnapshotEvery uint64
	Keyed         bool // the store has keys in the place of values: that of a reader of the digest tier
	anyTier       bool // whatever Keyed says
	cache         *pebble.Cache
	staging       bool         // the database is one in the making
	compactions   *compactions // of the database, or nil
	damage        *spotter
}

// Applied says how far a replica is in the raft log, and the raft configuration
// in force there. A reader's stays zero.
type Applied struct {
	Index     uint64
	Term      uint64
	Conf      []byte
	ConfIndex uint64
}

// A Store is a node's replicated state. One writer at a time begins a Tx; any
// number of goroutines read meanwhile.
type Store struct {
	dir      string
	opts     Options
	purging  sync.Mutex   // held by Purge, and by what ends the database
	writer   sync.Mutex   // held from Begin to Commit or Drop, and by Import
	mu       sync.RWMutex // guards db, head, changed, closed and damage; never held while anything is read
	db       *database
	head     Head
	kept     keptSnapshots
	keeping  sync.WaitGroup // of snapshots in the making
	making   sync.Mutex     // held while a staging is begun or gone on with, and by what removes one
	stagings atomic.Int32   // open
	worked   atomic.Uint64  // see Worked
	opener   Opener         // guarded by writer
	changed  chan struct{}  // closed and replaced at every commit
	closed   bool
	damage   *BucketError // the first that was found
}

// A Head is the end of the log.
type Head struct {
	Size    uint64
	Root    spec.Hash // RFC 6962 root over the log
	Applied Applied
	Live    uint64 // live signals
	Entries uint64 // matchable entries
}

// Open opens the store in dir, creating it when there is none, and checks it
// against its own log. It fails with CORRUPT when something was lost, with
// UNKNOWN_VERSION for another schema, and with NOT_IN_TIER for a store that is keyed
// and should not be, or the other way round.
func Open(dir string, o Options) (*Store, error) {
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	o.cache, o.damage = pebble.NewCache(o.CacheBytes), &spotter{log: o.Logger}
	s := &Store{dir: dir, opts: o, changed: make(chan struct{})}
	if err := makeDir(o.FS, dir); err != nil {
		return nil, fmt.Errorf("creating the store's directory: %w", err)
	}
	name, fresh, err := s.current()
	if err != nil {
		return nil, err
	}
	if s.db, err = s.openDatabase(name, fresh); err != nil {
		return nil, err
	}
	s.head = s.db.head()
	o.damage.watch(s)
	if fresh {
		if err := s.setCurrent(name); err != nil {
			return nil, err
		}
	}
	if err := s.loadKept(); err != nil {
		return nil, err
	}
	return s, s.reap(name)
}

func (s *Store) openDatabase(name string, create bool) (*database, error) {
	return s.openWith(name, create, func(p *pebble.DB) (*database, error) {
		return loadDatabase(p, s.opts.FS, s.dir, name, s.opts.Progress)
	})
}

// openWarm opens a database of which d has all that is kept in memory.
func (s *Store) openWarm(name string, d *database) (*database, error) {
	return s.openWith(name, false, func(p *pebble.DB) (*database, error) {
		if err := d.begin(p, s.opts.FS, s.dir, name); err != nil {
			return nil, err
		}
		return d, d.checkRoots()
	})
}

func (s *Store) openWith(name string, create bool, load func(*pebble.DB) (*database, error)) (*database, error) {
	o := s.opts
	held := holdCompactions()
	o.compactions = held
	p, err := openPebble(o.FS.PathJoin(s.dir, name), &o, create)
	if err != nil {
		return nil, err
	}
	d, err := load(p)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("checking the store: %w", err), p.Close())
	}
	held.begin()
	return d, nil
}

func (d *database) head() Head {
	return Head{Size: d.edge.Size, Root: d.edge.Root(), Applied: d.applied, Live: d.counts.Live, Entries: d.counts.Entries}
}

// Close makes everything durable and closes the store. Reads fail afterwards.
func (s *Store) Close() error {
	s.purging.Lock()
	defer s.purging.Unlock()
	s.writer.Lock()
	defer s.writer.Unlock()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.changed)
	s.mu.Unlock()
	s.db.users.Wait()
	err := errors.Join(s.closeKept(), s.db.pebble.LogData(nil, pebble.Sync))
	err = errors.Join(err, s.db.pebble.Close())
	s.opts.cache.Unref()
	return err
}

// Sync makes everything committed so far durable before it returns.
func (s *Store) Sync() error {
	return s.read(func(d *database) error { return d.pebble.LogData(nil, pebble.Sync) })
}

// Head returns the end of the log as of the last commit.
func (s *Store) Head() Head {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.head
}

// Size is the number of leaves in the log.
func (s *Store) Size() uint64 { return s.Head().Size }

// Wait returns when the log is longer than size, or with ctx's error, or with
// io.ErrClosedPipe once the store is closed.
func (s *Store) Wait(ctx context.Context, size uint64) error {
	for {
		s.mu.RLock()
		now, changed, closed := s.head.Size, s.changed, s.closed
		s.mu.RUnlock()
		if now > size {
			return nil
		}
		if closed {
			return io.ErrClosedPipe
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// read calls fn with the database, which stays open meanwhile. No lock is held: fn
// may read the store again, and commits go on.
func (s *Store) read(fn func(d *database) error) error {
	s.mu.RLock()
	d, closed := s.db, s.closed
	if !closed {
		d.users.Add(1)
	}
	s.mu.RUnlock()
	if closed {
		return io.ErrClosedPipe
	}
	defer d.users.Done()
	return fn(d)
}

// Record returns the record of the rules' state under key, or nil.
func (s *Store) Record(key []byte) (value []byte, err error) {
	err = s.read(func(d *database) error {
		value, err = get(d.pebble, recordKey(key))
		return err
	})
	return value, err
}

// Records calls fn with the records under prefix in the order of their keys until
// fn returns false, as of one moment.
func (s *Store) Records(prefix []byte, fn func(key, value []byte) bool) error {
	return s.read(func(d *database) error { return eachRecord(d.pebble, prefix, fn) })
}

// RecordsFrom is Records beginning at the first key that is not less than from.
func (s *Store) RecordsFrom(prefix, from []byte, fn func(key, value []byte) bool) error {
	return s.read(func(d *database) error { return eachRecordFrom(d.pebble, prefix, from, fn) })
}

// GroupEnd returns the root of the log: what was committed ends with a group.
func (s *Store) GroupEnd() (root spec.Hash, ok bool) { return s.Head().Root, true }

// Listed returns how many live entries list a signal.
func (s *Store) Listed(q spec.Signal) (n int, err error) {
	err = s.read(func(d *database) error {
		if !d.exact.has(q) {
			return nil
		}
		n, err = countUnder(d.pebble, livePrefix(q.Key()))
		return err
	})
	return n, err
}

// Find returns the log index of the operation with this id.
func (s *Store) Find(id spec.Hash) (index uint64, found bool, err error) {
	err = s.read(func(d *database) error {
		index, found, err = find(d.pebble, id)
		return err
	})
	return index, found, err
}

// Opening returns the opening held for an operation, or nil. Erased values are
// bare commitments in it.
func (s *Store) Opening(id spec.Hash) (o *spec.Opening, err error) {
	err = s.read(func(d *database) error {
		o, err = loadOpening(d.pebble, id)
		return err
	})
	return o, err
}

// Leaves returns leaves of the log from index on: at least one where there is
// one, and no more once they have maxBytes. It fails with a *GoneError for leaves
// before the snapshot that the store began with.
func (s *Store) Leaves(from uint64, maxBytes int) (leaves [][]byte, err error) {
	err = s.read(func(d *database) error {
		if from+1 < d.first {
			return &GoneError{First: d.first}
		}
		it, err := d.pebble.NewIter(&pebble.IterOptions{LowerBound: logKey(from), UpperBound: []byte{tableLog + 1}})
		if err != nil {
			return err
		}
		defer it.Close()
		for it.First(); it.Valid() && maxBytes > 0; it.Next() {
			leaves = append(leaves, append([]byte(nil), it.Value()...))
			maxBytes -= len(it.Value())
		}
		return it.Error()
	})
	return leaves, err
}
