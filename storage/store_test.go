// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

func options(t *testing.T, fs vfs.FS) Options {
	return Options{FS: fs, Logger: slog.New(slog.DiscardHandler), CacheBytes: 1 << 20, Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
}

func open(t *testing.T, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open("store", options(t, fs))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// An addition is what the tests list: one opening, whose signals are one entry.
type addition struct {
	id      spec.Hash
	opening spec.Opening
}

func newAddition(n byte, signals ...spec.Signal) addition {
	a := addition{id: spec.LeafHash([]byte{n})}
	for i, s := range signals {
		o := spec.Opened{Signal: s}
		o.Salt[0], o.Salt[1] = n, byte(i)
		a.opening.Signals = append(a.opening.Signals, o)
	}
	return a
}

func (a addition) listing(state uint64, was bool) spec.Listing {
	return spec.Listing{
		Case: a.id, Count: len(a.opening.Signals), Was: was, Live: spec.Matchable(state),
		Meta: spec.LiveMeta{Entry: spec.EntryID(a.id, 0), State: state, Labels: []string{"label"}},
	}
}

// change runs fn in a batch, seals it with a StateRoot leaf and commits it.
func change(t *testing.T, s *Store, index uint64, fn func(tx *Tx) error) {
	t.Helper()
	tx, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Drop()
	if err := fn(tx); err != nil {
		t.Fatal(err)
	}
	seal(t, tx)
	if err := tx.Commit(Applied{Index: index, Term: 1, Conf: []byte("conf")}); err != nil {
		t.Fatal(err)
	}
}

func seal(t *testing.T, tx *Tx) {
	t.Helper()
	r, err := tx.Roots()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := spec.Encode(&spec.StateRoot{Tag: spec.TagStateRoot, SizeBefore: tx.Size(), LiveRoot: r.Live, LiveCount: r.LiveCount, RulesRoot: r.Rules})
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Append(leaf); err != nil {
		t.Fatal(err)
	}
}

func (a addition) list(tx *Tx) error {
	return errors.Join(tx.Hold(a.id, &a.opening), tx.List(a.listing(spec.StateActive, false)), tx.Put(spec.EntryKey(a.id), []byte{1}))
}

func sha(b byte) spec.Signal { return spec.Signal{Type: "sha256", Value: bytes.Repeat([]byte{b}, 32)} }

func pdq(seed byte, flips int) spec.Signal {
	v := bytes.Repeat([]byte{seed, ^seed}, 16)
	for i := range flips {
		v[i/8] ^= 1 << (i % 8)
	}
	return spec.Signal{Type: "pdq", Value: v, Quality: 100}
}

func hits(t *testing.T, s *Store, q ...spec.Signal) []Hit {
	t.Helper()
	h, _, err := s.Lookup(q)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestLookupFollowsEveryCommit(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	a, b := newAddition(1, sha(1), pdq(0x5a, 0)), newAddition(2, sha(1))
	change(t, s, 1, a.list)
	if h := hits(t, s, sha(1)); len(h) != 1 || h[0].Entry.State != spec.StateActive {
		t.Fatalf("exact: %+v", h)
	}
	if h := hits(t, s, pdq(0x5a, 31)); len(h) != 1 || h[0].Distance != 31 || h[0].Threshold != 31 {
		t.Fatalf("at the threshold: %+v", h)
	}
	if h := hits(t, s, pdq(0x5a, 32)); len(h) != 0 {
		t.Fatalf("beyond the threshold: %+v", h)
	}
	if h := hits(t, s, sha(1), pdq(0x5a, 3)); len(h) != 1 || h[0].Distance != 0 {
		t.Fatalf("one entry found by two signals counts once, by the nearest: %+v", h)
	}
	change(t, s, 2, b.list)
	if h := hits(t, s, sha(1)); len(h) != 2 {
		t.Fatalf("a signal of two entries finds %d", len(h))
	}
	change(t, s, 3, func(tx *Tx) error { return tx.List(a.listing(spec.StateRetracted, true)) })
	if h := hits(t, s, sha(1)); len(h) != 1 || h[0].Entry.Entry != spec.EntryID(b.id, 0) {
		t.Fatalf("after one of two entries went: %+v", h)
	}
	if h := hits(t, s, pdq(0x5a, 0)); len(h) != 0 {
		t.Fatalf("a retracted perceptual signal still matches: %+v", h)
	}
	if head := s.Head(); head.Live != 1 || head.Entries != 1 {
		t.Fatalf("counts: %+v", head)
	}
	change(t, s, 4, func(tx *Tx) error { return tx.List(b.listing(spec.StateRetracted, true)) })
	if h := hits(t, s, sha(1)); len(h) != 0 {
		t.Fatalf("nothing is listed, yet it matches: %+v", h)
	}
	if _, _, err := s.Lookup([]spec.Signal{{Type: "pdq", Value: []byte{1}}}); spec.CodeOf(err) != spec.CodeSignal {
		t.Fatalf("a value of the wrong size: %v", err)
	}
}

func TestDroppedBatchLeavesNoTrace(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	change(t, s, 1, newAddition(1, sha(1)).list)
	before := s.Head()
	tx, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := newAddition(2, sha(2)).list(tx); err != nil {
		t.Fatal(err)
	}
	seal(t, tx)
	if len(hits(t, s, sha(2))) != 0 {
		t.Fatal("an uncommitted listing matches")
	}
	tx.Drop()
	if s.Head().Root != before.Root || len(hits(t, s, sha(2))) != 0 {
		t.Fatal("a dropped batch changed the store")
	}
	// The trees must be as before: the same next change gives the same root.
	other := open(t, vfs.NewMem())
	defer closeStore(t, other)
	change(t, other, 1, newAddition(1, sha(1)).list)
	change(t, s, 2, newAddition(3, sha(3)).list)
	change(t, other, 2, newAddition(3, sha(3)).list)
	if s.Head().Root != other.Head().Root {
		t.Fatal("the roots differ after a dropped batch")
	}
}

func TestRootsDoNotDependOnTheOrder(t *testing.T) {
	var want spec.Hash
	for round := range 5 {
		s := open(t, vfs.NewMem())
		order := rand.New(rand.NewPCG(1, uint64(round))).Perm(40)
		change(t, s, 1, func(tx *Tx) error {
			for _, i := range order {
				if err := newAddition(byte(i), sha(byte(i))).list(tx); err != nil {
					return err
				}
			}
			return nil
		})
		if round == 0 {
			want = s.Head().Root
		} else if s.Head().Root != want {
			t.Fatal("the same set in another order has another root")
		}
		closeStore(t, s)
	}
}

func TestReopenedStoreAnswersTheSame(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	for i := range byte(20) {
		change(t, s, uint64(i)+1, newAddition(i, sha(i), pdq(i*7, 0)).list)
	}
	before := s.Head()
	closeStore(t, s)
	s = open(t, fs)
	after := s.Head()
	if after.Root != before.Root || after.Size != before.Size || after.Applied.Index != 20 || string(after.Applied.Conf) != "conf" {
		t.Fatalf("reopened at %+v, closed at %+v", after, before)
	}
	if len(hits(t, s, sha(7))) != 1 || len(hits(t, s, pdq(49, 5))) != 1 {
		t.Fatal("the indexes were not filled again")
	}
	change(t, s, 21, newAddition(99, sha(99)).list) // the trees go on from what was loaded
	closeStore(t, s)
	closeStore(t, open(t, fs))
}

// A crash loses at most what came after the last Sync, and never a part of a batch.
func TestCrashKeepsWhatWasSyncedAndNoHalfBatch(t *testing.T) {
	for seed := range uint64(25) {
		fs := vfs.NewCrashableMem()
		s := open(t, fs)
		for i := range byte(10) {
			change(t, s, uint64(i)+1, newAddition(i, sha(i)).list)
			if i == 4 {
				if err := s.Sync(); err != nil {
					t.Fatal(err)
				}
			}
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(seed, 1))})
		closeStore(t, s)
		s = open(t, crashed)
		head := s.Head()
		if head.Applied.Index < 5 || head.Size != head.Applied.Index || head.Live != head.Applied.Index {
			t.Fatalf("seed %d: after the crash %+v", seed, head)
		}
		closeStore(t, s)
	}
}

func TestLostRecordsAreNoticed(t *testing.T) {
	for name, key := range map[string][]byte{
		"a live signal": liveKey(sha(1).Key(), spec.EntryID(newAddition(1).id, 0)),
		"a record":      recordKey(spec.EntryKey(newAddition(1).id)),
		"the last leaf": logKey(1),
		"the counts":    countsKey,
		"the schema":    schemaKey,
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := open(t, fs)
			change(t, s, 1, newAddition(1, sha(1)).list)
			change(t, s, 2, newAddition(2, sha(2)).list)
			if err := s.db.pebble.Delete(key, pebble.Sync); err != nil {
				t.Fatal(err)
			}
			closeStore(t, s)
			if _, err := Open("store", options(t, fs)); spec.CodeOf(err) != spec.CodeCorrupt {
				t.Fatalf("opened a store that lost %s: %v", name, err)
			}
		})
	}
}

func TestMissingDatabaseIsNotReplacedByAnEmptyOne(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	change(t, s, 1, newAddition(1, sha(1)).list)
	closeStore(t, s)
	if err := fs.RemoveAll(fs.PathJoin("store", "db-1")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("store", options(t, fs)); spec.CodeOf(err) != spec.CodeCorrupt {
		t.Fatalf("opened as new: %v", err)
	}
}

func snapshot(t *testing.T, s *Store) []byte {
	t.Helper()
	a, size, r, err := s.Export()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	if int64(len(b)) != size || a.Index != s.Head().Applied.Index {
		t.Fatalf("a snapshot of %d bytes at %d was announced as %d", len(b), a.Index, size)
	}
	return b
}

func TestSnapshotReplacesTheStore(t *testing.T) {
	from, fs := open(t, vfs.NewMem()), vfs.NewMem()
	defer closeStore(t, from)
	for i := range byte(5) {
		change(t, from, uint64(i)+1, newAddition(i, sha(i), pdq(i, 0)).list)
	}
	snap := snapshot(t, from)
	to := open(t, fs)
	change(t, to, 1, newAddition(77, sha(77)).list)
	if err := to.Import(bytes.NewReader(snap), Applied{Index: 9, Term: 3}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if to.Head().Root != from.Head().Root || to.Head().Applied.Index != 9 || len(hits(t, to, sha(3))) != 1 || len(hits(t, to, sha(77))) != 0 {
			t.Fatalf("after the import: %+v", to.Head())
		}
		closeStore(t, to)
		to = open(t, fs)
	}
	closeStore(t, to)
	names, err := fs.List("store")
	if err != nil || len(names) != 2 {
		t.Fatalf("left over: %v, %v", names, err)
	}
}

func TestDamagedSnapshotIsRefused(t *testing.T) {
	from := open(t, vfs.NewMem())
	defer closeStore(t, from)
	change(t, from, 1, newAddition(1, sha(1)).list)
	snap := snapshot(t, from)
	to := open(t, vfs.NewMem())
	defer closeStore(t, to)
	change(t, to, 1, newAddition(2, sha(2)).list)
	refused := func(what string, b []byte) {
		if err := to.Import(bytes.NewReader(b), Applied{Index: 9}); err == nil {
			t.Fatalf("%s was taken", what)
		}
		if len(hits(t, to, sha(2))) != 1 || to.Head().Applied.Index != 1 {
			t.Fatalf("%s changed the store", what)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		b := bytes.Clone(snap)
		i := r.IntN(len(b))
		b[i] ^= 1 << r.IntN(8)
		refused(fmt.Sprintf("a snapshot with a flipped bit in byte %d", i), b)
		refused("a truncated snapshot", snap[:r.IntN(len(snap))])
	}
}

func TestWaitEndsWithGrowthContextAndClose(t *testing.T) {
	s := open(t, vfs.NewMem())
	done := make(chan error, 3)
	go func() { done <- s.Wait(t.Context(), 0) }()
	change(t, s, 1, newAddition(1, sha(1)).list)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := s.Wait(ctx, 100); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	go func() { done <- s.Wait(t.Context(), 100) }()
	closeStore(t, s)
	if err := <-done; !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	if _, err := s.Begin(); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatalf("a closed store began a batch: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte(snapshotMagic + "\x00"))
	f.Add([]byte(snapshotMagic + "\x07CURRENT\x00\x00\x00\x00\x00\x00\x00\x01x\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := vfs.NewMem()
		if err := fs.MkdirAll("d", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unpack(fs, "d", bytes.NewReader(b)); err != nil {
			return
		}
		names, err := fs.List("d")
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			if !pebbleFile.MatchString(n) {
				t.Fatalf("a file named %q was written", n)
			}
		}
	})
}

// A reader neither holds up commits nor is held up by them when it reads again.
func TestReadersAndCommitsDoNotWaitForEachOther(t *testing.T) {
	s := open(t, vfs.NewMem())
	change(t, s, 1, newAddition(1, sha(1)).list)
	seen := 0
	err := s.Records(spec.EntryPrefix, func(key, _ []byte) bool {
		seen++
		committed := make(chan struct{})
		go func() {
			defer close(committed)
			change(t, s, 2, newAddition(2, sha(2)).list)
		}()
		<-committed
		if again, err := s.Record(key); err != nil || again == nil {
			t.Errorf("reading inside a scan: %v", err)
		}
		return true
	})
	if err != nil || seen != 1 {
		t.Fatalf("%d records, %v", seen, err)
	}
	if len(hits(t, s, sha(2))) != 1 {
		t.Fatal("the commit during the scan is not visible")
	}
	closeStore(t, s)
}

func TestRowsAreAnsweredInTheirOrder(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	change(t, s, 1, newAddition(1, sha(3), sha(200)).list)
	var rows []byte
	for i := range 3000 {
		rows = append(rows, sha(byte(i)).Value...)
	}
	var answers bytes.Buffer
	n, err := s.ListedRows(&answers, bytes.NewReader(rows))
	if err != nil || n != 3000 || answers.Len() != 3000 {
		t.Fatalf("%d answers, %v", answers.Len(), err)
	}
	for i, b := range answers.Bytes() {
		if want := byte(i) == 3 || byte(i) == 200; (b == 1) != want {
			t.Fatalf("row %d: %d", i, b)
		}
	}
	if _, err := s.ListedRows(io.Discard, bytes.NewReader(rows[:33])); spec.CodeOf(err) != spec.CodeMalformed {
		t.Fatalf("a torn row: %v", err)
	}
	many := io.LimitReader(repeat{}, 32*MaxRows+1)
	if n, err := s.ListedRows(io.Discard, many); spec.CodeOf(err) != spec.CodeTooLarge || n > MaxRows {
		t.Fatalf("more rows than are answered: %d, %v", n, err)
	}
	change(t, s, 2, func(tx *Tx) error {
		return tx.List(newAddition(1, sha(3), sha(200)).listing(spec.StateRetracted, true))
	})
	answers.Reset()
	if _, err = s.ListedRows(&answers, bytes.NewReader(sha(3).Value)); err != nil || answers.Bytes()[0] != 0 {
		t.Fatalf("a retracted value: %v, %v", answers.Bytes(), err)
	}
}

// repeat yields zeros without end.
type repeat struct{}

func (repeat) Read(p []byte) (int, error) { return len(p), nil }
