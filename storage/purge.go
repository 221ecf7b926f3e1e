// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// erasedKey stands in the database while values were erased whose bytes may still
// lie in its files.
var erasedKey = []byte{tableMeta, 'e'}

// PurgeDue reports whether values were erased since the last Purge.
func (s *Store) PurgeDue() (due bool, err error) {
	err = s.read(func(d *database) error {
		b, err := get(d.pebble, erasedKey)
		due = b != nil
		return err
	})
	return due, err
}

// Purge makes the bytes of erased values disappear from the store's files: what is
// superseded is compacted away, and the write-ahead logs that held it are gone.
// Snapshots are released, those too that are taken meanwhile: the next one is kept at
// the next snapshot size. So is a snapshot that was fetched in part; one that is being
// fetched stays, and the purge stays due.
// Lookups and commits go on meanwhile.
func (s *Store) Purge(ctx context.Context) error {
	s.purging.Lock()
	defer s.purging.Unlock()
	s.releaseKept()
	s.mu.RLock()
	d, closed := s.db, s.closed
	s.mu.RUnlock()
	if closed {
		return spec.Errorf(spec.CodeUnavailable, "the store is closed")
	}
	if err := d.pebble.Set(erasedKey, []byte("purging"), pebble.Sync); err != nil {
		return err
	}
	// A second compaction finds what the first one's inputs still overlapped.
	for range 2 {
		if err := d.pebble.Flush(); err != nil {
			return fmt.Errorf("purging the store: %w", err)
		}
		if err := d.pebble.Compact(ctx, []byte{0}, []byte{0xff}, true); err != nil {
			return fmt.Errorf("purging the store: %w", err)
		}
	}
	open, err := s.dropStaging()
	if err == nil {
		err = s.turnLogs(d, open)
	}
	if err != nil {
		return fmt.Errorf("purging the store: %w", err)
	}
	return awaitDeletions(ctx, d.pebble)
}

// spareLogs is more write-ahead logs than Pebble keeps for later use.
const spareLogs = 8

// turnLogs begins so many write-ahead logs that none of before is left: one that
// is kept for later use is replaced by a new file when it is used (freshLogs). A
// snapshot that was taken since the purge began may hold files that it made obsolete.
// With due the purge stays due.
func (s *Store) turnLogs(d *database, due bool) error {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.releaseKept()
	s.keeping.Wait() // none begins while the writer is held
	mark, err := get(d.pebble, erasedKey)
	if err != nil {
		return err
	}
	for range spareLogs {
		if err := d.pebble.Set(erasedKey, mark, pebble.Sync); err != nil {
			return err
		}
		if err := d.pebble.Flush(); err != nil {
			return err
		}
	}
	if due || len(mark) == 0 {
		return nil // or more was erased meanwhile
	}
	return d.pebble.Delete(erasedKey, pebble.Sync)
}

// awaitDeletions waits until files that nothing refers to are gone.
func awaitDeletions(ctx context.Context, db *pebble.DB) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		m := db.Metrics()
		if m.Table.ObsoleteCount == 0 && m.Table.ZombieCount == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("purging the store: files wait for readers: %w", ctx.Err())
		}
	}
}

// freshLogs is a file system on which a write-ahead log is never written over an
// old one, whose bytes would stay behind its end.
type freshLogs struct{ vfs.FS }

// ReuseForWrite implements vfs.FS.
func (f freshLogs) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.Remove(old); err != nil {
		return nil, err
	}
	return f.Create(name, c)
}
