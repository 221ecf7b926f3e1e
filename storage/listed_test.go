// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// TestSignalsThatAreOff retracts one signal of an entry and keeps the others, also
// through later changes of the entry, which no longer know its value.
func TestSignalsThatAreOff(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	a := newAddition(1, sha(1), sha(2), sha(3))
	change(t, s, 1, a.list)
	off := a.listing(spec.StateActive, true)
	off.Off = []uint64{1}
	change(t, s, 2, func(tx *Tx) error {
		if err := tx.List(off); err != nil {
			return err
		}
		return tx.Erase(spec.Erasure{Case: a.id, First: 1, Count: 1})
	})
	if len(hits(t, s, sha(2))) != 0 || len(hits(t, s, sha(1))) != 1 || len(hits(t, s, sha(3))) != 1 {
		t.Fatal("only the signal that is off must not match")
	}
	flagged := off
	flagged.Meta.State = spec.StateDisputed
	change(t, s, 3, func(tx *Tx) error { return tx.List(flagged) })
	if got := hits(t, s, sha(1)); len(got) != 1 || got[0].Entry.State != spec.StateDisputed {
		t.Fatalf("the others follow the entry: %v", got)
	}
	if h := s.Head(); h.Live != 2 || h.Entries != 1 {
		t.Fatalf("%d live signals of %d entries, want 2 of 1", h.Live, h.Entries)
	}
	tx, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Drop()
	if r, err := tx.Roots(); err != nil || !r.LiveKnown || r.LiveCount != 2 {
		t.Fatalf("roots %+v, %v: nothing that is live is unknown", r, err)
	}
}

// TestListedCountsLiveEntries asks during a batch and after it.
func TestListedCountsLiveEntries(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	first, second, k := newAddition(1, sha(1), pdq(5, 0)), newAddition(2, sha(1)), sha(1)
	want := func(st interface {
		Listed(spec.Signal) (int, error)
	}, s spec.Signal, n int) {
		t.Helper()
		if got, err := st.Listed(s); err != nil || got != n {
			t.Fatalf("listed by %d entries, %v; want %d", got, err, n)
		}
	}
	want(s, k, 0)
	change(t, s, 1, func(tx *Tx) error {
		want(tx, k, 0)
		if err := first.list(tx); err != nil {
			return err
		}
		want(tx, k, 1)
		want(tx, pdq(5, 0), 1)
		err := second.list(tx)
		want(tx, k, 2)
		return err
	})
	want(s, k, 2)
	want(s, pdq(5, 0), 1)
	want(s, pdq(5, 1), 0)
	change(t, s, 2, func(tx *Tx) error {
		err := tx.List(first.listing(spec.StateRetracted, true))
		want(tx, k, 1)
		return err
	})
	want(s, k, 1)
	want(s, pdq(5, 0), 0)
}

// Rows that come slowly hold nothing of the store: it closes while they come, and what
// comes afterwards is refused.
func TestAStoreClosesWhileRowsCome(t *testing.T) {
	s := open(t, vfs.NewMem())
	change(t, s, 1, newAddition(1, sha(3)).list)
	src, rows := io.Pipe()
	answers, dst := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := s.ListedRows(dst, src)
		ended <- err
	}()
	block := bytes.Repeat(sha(3).Value, 1024)
	if _, err := rows.Write(block); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(answers, first); err != nil || first[0] != 1 {
		t.Fatalf("%v, %v", first, err)
	}
	go func() { _, _ = io.Copy(io.Discard, answers) }()
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Error("the store waits for rows that may never come")
	}
	go func() { _, _ = rows.Write(block) }()
	if err := <-ended; !errors.Is(err, io.ErrClosedPipe) {
		t.Fatalf("rows of a closed store: %v", err)
	}
}
