// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

const logFile = "raft.db"

// boltLog is the raft log in one bolt file. It turns the panics and memory
// faults with which bolt meets a damaged file into errors.
type boltLog struct {
	path string
	mu   sync.RWMutex // writers swap the file
	db   *raftboltdb.BoltStore
}

// OpenBolt opens or creates the raft log dir/raft.db. Appends are durable when
// they return.
func OpenBolt(dir string) (LogBackend, error) {
	path := filepath.Join(dir, logFile)
	if err := checkBoltMeta(path); err != nil {
		return nil, err
	}
	db, err := openBoltFile(path)
	if err != nil {
		return nil, fmt.Errorf("open the raft log: %w", err)
	}
	return &boltLog{path: path, db: db}, nil
}

func openBoltFile(path string) (db *raftboltdb.BoltStore, err error) {
	defer recovered(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{
		Timeout: 5 * time.Second, // another process may hold the file
		// The default freelist is an array that every commit writes whole; it
		// is rebuilt at open instead.
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
	}})
}

// recovered turns a panic into an error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = corrupt("read the raft log", "the file is damaged: %v", p)
	}
}

func (b *boltLog) do(f func(db *raftboltdb.BoltStore) error) (err error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	defer recovered(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return f(b.db)
}

func (b *boltLog) FirstIndex() (i uint64, err error) {
	err = b.do(func(db *raftboltdb.BoltStore) error { i, err = db.FirstIndex(); return err })
	return i, err
}

func (b *boltLog) LastIndex() (i uint64, err error) {
	err = b.do(func(db *raftboltdb.BoltStore) error { i, err = db.LastIndex(); return err })
	return i, err
}

func (b *boltLog) GetLog(i uint64, l *raft.Log) error {
	return b.do(func(db *raftboltdb.BoltStore) error { return db.GetLog(i, l) })
}

func (b *boltLog) StoreLog(l *raft.Log) error { return b.StoreLogs([]*raft.Log{l}) }

func (b *boltLog) StoreLogs(ls []*raft.Log) error {
	return b.do(func(db *raftboltdb.BoltStore) error { return db.StoreLogs(ls) })
}

func (b *boltLog) DeleteRange(lo, hi uint64) error {
	return b.do(func(db *raftboltdb.BoltStore) error { return db.DeleteRange(lo, hi) })
}

func (b *boltLog) Set(k, v []byte) error {
	return b.do(func(db *raftboltdb.BoltStore) error { return db.Set(k, v) })
}

func (b *boltLog) Get(k []byte) (v []byte, err error) {
	err = b.do(func(db *raftboltdb.BoltStore) error { v, err = db.Get(k); return err })
	return v, err
}

func (b *boltLog) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.db.Close()
}

// Rewrite copies what is live into a new file and puts it in the old one's
// place, so that deleted entries leave the disk and the file shrinks. Appends
// wait for it.
func (b *boltLog) Rewrite() (err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer recovered(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	fresh := b.path + ".new"
	if err := os.Remove(fresh); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := b.db.Close(); err != nil {
		return err
	}
	if err := compactBolt(fresh, b.path); err != nil {
		return err
	}
	if err := replaceFile(fresh, b.path); err != nil {
		return err
	}
	b.db, err = openBoltFile(b.path)
	return err
}

// compactBolt writes the live content of src to the new file dst, durably.
func compactBolt(dst, src string) error {
	from, err := bbolt.Open(src, 0o600, &bbolt.Options{ReadOnly: true, Timeout: 5 * time.Second})
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := bbolt.Open(dst, 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	if err := bbolt.Compact(to, from, 16<<20); err != nil {
		_ = to.Close()
		return err
	}
	if err := to.Sync(); err != nil {
		_ = to.Close()
		return err
	}
	return to.Close()
}

// replaceFile renames from to to and makes the rename durable.
func replaceFile(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
