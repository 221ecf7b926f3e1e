// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The roots that batches compute from what is kept in memory are those of a store
// that reads everything, whatever was dropped, deleted or forgotten in between.
func TestRootsFromMemoryAreThoseOfTheDisk(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	fs := vfs.NewMem()
	open := func() *Store {
		s, err := Open("db", Options{FS: fs, Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	for round := range 60 {
		tx, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			for range rng.IntN(40) {
				key, value := []byte{'k', byte(rng.IntN(100))}, []byte{byte(rng.IntN(256))}
				if rng.IntN(3) == 0 {
					value = nil
				}
				if err := tx.Put(key, value); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := tx.Roots(); err != nil {
				t.Fatal(err)
			}
		}
		want, err := tx.Roots()
		if err != nil {
			t.Fatal(err)
		}
		if rng.IntN(3) == 0 {
			tx.Drop()
			continue
		}
		if err := tx.Commit(Applied{}); err != nil {
			t.Fatal(err)
		}
		switch rng.IntN(4) {
		case 0: // as if there had been no room
			forgetBuckets(s)
		case 1:
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open()
		}
		fresh, err := loadDatabase(s.db.pebble, s.opts.FS, s.dir, s.db.name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := fresh.rules.root(); got != want.Rules || got != s.db.rules.root() {
			t.Fatalf("round %d: the disk has root %v, the batch %v, the tree in memory %v", round, got, want.Rules, s.db.rules.root())
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// What is kept decoded follows the record.
func TestDecodedFollowsTheRecord(t *testing.T) {
	s, err := Open("db", Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	key, calls := []byte("x"), 0
	decode := func(v []byte) (any, error) { calls++; return string(v), nil }
	expect := func(from interface {
		Decoded([]byte, func([]byte) (any, error)) (any, error)
	}, want string) {
		t.Helper()
		if v, err := from.Decoded(key, decode); err != nil || v != want {
			t.Fatalf("%q, %v, want %q", v, err, want)
		}
	}
	expect(s, "")
	tx, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Put(key, []byte("1")); err != nil {
		t.Fatal(err)
	}
	expect(tx, "1")
	expect(s, "")
	if err := tx.Commit(Applied{}); err != nil {
		t.Fatal(err)
	}
	calls = 0
	expect(s, "1")
	expect(s, "1")
	if calls != 1 {
		t.Errorf("decoded %d times", calls)
	}
	if tx, err = s.Begin(); err != nil {
		t.Fatal(err)
	}
	if err := tx.Put(key, []byte("2")); err != nil {
		t.Fatal(err)
	}
	tx.Drop()
	expect(s, "1")
}
