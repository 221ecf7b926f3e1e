// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
)

// A BucketError names a bucket of one of the trees that commit to the state whose
// records are not those that were written, or cannot be read. Its code is CORRUPT.
type BucketError struct {
	Tree   string // "live signals" or "rules"
	Bucket uint32
	Of     uint32 // buckets in the tree
	Reason string // one sentence without values
	Err    error  // the cause, or nil
}

func (e *BucketError) Error() string {
	s := fmt.Sprintf("bucket %d of %d of the %s: %s", e.Bucket, e.Of, e.Tree, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns what makes it CORRUPT, and the cause.
func (e *BucketError) Unwrap() []error {
	return []error{spec.Errorf(spec.CodeCorrupt, "the store is damaged"), e.Err}
}

// names of the trees by their table.
var treeNames = map[byte]string{tableLive: "live signals", tableRuleLeaf: "rules"}

const (
	notAsWritten = "its records are not those that were written"
	notReadable  = "its records cannot be read"
)

func (t *bucketTree) wrong(table byte, b uint32, reason string, err error) *BucketError {
	return &BucketError{Tree: treeNames[table], Bucket: b, Of: 1 << t.bits, Reason: reason, Err: err}
}

// Damage returns the first damage that was found since the store was opened, or
// nil. A damaged bucket is never hashed again: what would change it fails.
func (s *Store) Damage() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.damage == nil {
		return nil
	}
	return s.damage
}

func (s *Store) damaged(e *BucketError) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.damage == nil {
		s.damage = e
	}
	return e
}

// A spotter is told by the database of files that do not have their checksum. Until
// a store watches, whoever reads meets the error; afterwards the first is looked
// into, and ends the store.
type spotter struct {
	log   *slog.Logger
	mu    sync.Mutex
	store *Store
	told  bool
}

func (s *spotter) watch(store *Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store = store
}

// found is called while something is read, and must not block. The range of keys in
// info is not logged.
func (s *spotter) found(info pebble.DataCorruptionInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told {
		return
	}
	s.log.Error("a file of the database does not have its checksum", "file", info.Path)
	if s.store != nil {
		s.told = true
		go s.store.lookInto(info.Path)
	}
}

// lookInto names the first bucket that is damaged, if a bucket is, and ends the
// store.
func (s *Store) lookInto(file string) {
	_, err := s.Verify(context.Background())
	if errors.Is(err, io.ErrClosedPipe) {
		return
	}
	if damage := s.Damage(); damage != nil {
		err = damage
	}
	s.opts.Fatal(spec.Errorf(spec.CodeCorrupt, "%s is damaged: %w", file, err))
}
