// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// holding lists the files under dir that hold the bytes.
func holding(t *testing.T, dir string, what []byte) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if bytes.Contains(b, what) {
			names = append(names, filepath.Base(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// After a purge the bytes of erased values, their salts and texts are in no file,
// those of others are, and the store opens again.
func TestPurgedValuesAreInNoFile(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, options(t, vfs.Default))
	if err != nil {
		t.Fatal(err)
	}
	random := func() spec.Signal {
		v := make([]byte, 32)
		rand.Read(v)
		return spec.Signal{Type: "sha256", Value: v}
	}
	gone, kept := newAddition(1, random(), random()), newAddition(2, random())
	rand.Read(gone.opening.Signals[0].Salt[:])
	gone.opening.Texts = []spec.Text{{Salt: bytes.Repeat([]byte{9}, spec.SaltSize), Text: "a text that is to be forgotten"}}
	change(t, s, 1, func(tx *Tx) error { // far behind in a log that is used again
		padding := make([]byte, 300<<10)
		rand.Read(padding)
		return errors.Join(tx.Put([]byte("a"), padding), gone.list(tx))
	})
	change(t, s, 2, func(tx *Tx) error { return kept.list(tx) })
	for i := range uint64(20) { // the log turns often, and old ones lie about
		change(t, s, 3+i, func(tx *Tx) error { return tx.Put([]byte("x"), bytes.Repeat([]byte{byte(i)}, 100)) })
		if i%4 == 0 {
			if err := s.db.pebble.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if due, err := s.PurgeDue(); due || err != nil {
		t.Fatalf("due before anything was erased: %v", err)
	}
	change(t, s, 30, func(tx *Tx) error {
		if err := tx.List(gone.listing(spec.StateRetracted, true)); err != nil {
			return err
		}
		return tx.Erase(spec.Erasure{Case: gone.id, First: 0, Count: 2})
	})
	if due, err := s.PurgeDue(); !due || err != nil {
		t.Fatalf("not due although something was erased: %v", err)
	}
	late := newAddition(3, random()) // its bytes are in the newest files alone
	change(t, s, 31, func(tx *Tx) error { return late.list(tx) })
	change(t, s, 32, func(tx *Tx) error {
		return errors.Join(tx.List(late.listing(spec.StateRetracted, true)), tx.Erase(spec.Erasure{Case: late.id, First: 0, Count: 1}))
	})
	secrets := [][]byte{late.opening.Signals[0].Signal.Value, gone.opening.Signals[0].Signal.Value, gone.opening.Signals[1].Signal.Value, gone.opening.Signals[0].Salt[:], []byte(gone.opening.Texts[0].Text)}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if len(holding(t, dir, secrets[0])) == 0 {
		t.Fatal("the value is in no file before the purge: the test shows nothing")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := s.Purge(ctx); err != nil {
		t.Fatal(err)
	}
	for i, secret := range secrets {
		if names := holding(t, dir, secret); len(names) > 0 {
			t.Errorf("secret %d is in %v after the purge", i, names)
		}
	}
	if due, err := s.PurgeDue(); due || err != nil {
		t.Fatalf("due after the purge: %v", err)
	}
	closeStore(t, s)
	if s, err = Open(dir, options(t, vfs.Default)); err != nil {
		t.Fatal(err)
	}
	if h := hits(t, s, kept.opening.Signals[0].Signal); len(h) != 1 {
		t.Fatalf("what was not erased: %v", h)
	}
	closeStore(t, s)
}

// keptDirs lists the snapshots that lie in a store's directory.
func keptDirs(t *testing.T, s *Store) (names []string) {
	t.Helper()
	all, err := s.opts.FS.List(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range all {
		if _, kept := keptSize(n); kept {
			names = append(names, n)
		}
	}
	return names
}

// A snapshot that is in the making when a purge begins, and one that is taken while it
// lasts, may hold what was erased: neither is there when the purge has ended.
func TestAPurgeReleasesSnapshotsInTheMaking(t *testing.T) {
	s := openAt(t, "store", vfs.NewMem())
	defer closeStore(t, s)
	s.kept.mu.Lock() // so that the snapshot waits to be finished
	for i := range uint64(every) {
		change(t, s, i+1, newAddition(byte(i+1), digest(i)).entered)
	}
	if len(keptDirs(t, s)) != 1 {
		t.Fatal("no snapshot is in the making: the test shows nothing")
	}
	purged := make(chan error, 1)
	go func() { purged <- s.Purge(t.Context()) }()
	for s.kept.released.Load() == 0 {
		runtime.Gosched()
	}
	s.kept.mu.Unlock()
	if err := <-purged; err != nil {
		t.Fatal(err)
	}
	if names := keptDirs(t, s); len(names)+len(s.Snapshots()) != 0 {
		t.Fatalf("after the purge there are %v", names)
	}

	s.releaseKept() // as a purge begins
	for i := range uint64(2 * every) {
		change(t, s, 100+i, newAddition(byte(100+i), digest(100+i)).entered)
	}
	s.keeping.Wait()
	if len(s.Snapshots()) == 0 {
		t.Fatal("no snapshot was taken meanwhile: the test shows nothing")
	}
	if err := s.turnLogs(s.db, false); err != nil { // as it ends
		t.Fatal(err)
	}
	if names := keptDirs(t, s); len(names)+len(s.Snapshots()) != 0 {
		t.Fatalf("of what was taken during the purge there is %v", names)
	}
}

// A snapshot that was fetched in part may hold what was erased since: a purge leaves
// none. One that is being fetched is left alone, and the purge stays due.
func TestAPurgeRemovesAStaging(t *testing.T) {
	from, dir := openAt(t, "from", vfs.NewMem()), t.TempDir()
	defer closeStore(t, from)
	grown(t, from, 8)
	head, value := newestKept(t, from).Head(), digest(0).Value
	to := openAt(t, dir, vfs.Default)
	defer closeStore(t, to)
	purged := func() (due bool) {
		t.Helper()
		if err := to.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		due, err := to.PurgeDue()
		if err != nil {
			t.Fatal(err)
		}
		return due
	}
	st, err := to.Stage(&head)
	if err != nil {
		t.Fatal(err)
	}
	fetch(t, st, newestKept(t, from), -1)
	if err := st.Flush(); err != nil {
		t.Fatal(err)
	}
	if !purged() {
		t.Error("no purge is due while a snapshot is being fetched")
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if len(holding(t, dir, value)) == 0 {
		t.Fatal("the value is in no file before the purge: the test shows nothing")
	}
	if purged() {
		t.Error("a purge is still due")
	}
	if names := holding(t, dir, value); len(names) > 0 {
		t.Errorf("after the purge the value is in %v", names)
	}
	if h, err := to.Staged(); h != nil || err != nil {
		t.Errorf("a staging is there: %t, %v", h != nil, err)
	}
	install(t, to, newestKept(t, from))
	if len(hits(t, to, digest(0))) != 1 {
		t.Error("fetched anew, the signal is not found")
	}
	if purged() {
		t.Error("a purge is due once the snapshot is in place")
	}
}
