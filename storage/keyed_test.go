// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

func openKeyed(t *testing.T, dir string) *Store {
	t.Helper()
	o := options(t, vfs.Default)
	o.SnapshotEvery, o.Keyed = every, true
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keyed is the same addition as the digest tier has it.
func (a addition) keyed() addition {
	a.opening = *a.opening.Keys()
	return a
}

// A keyed store has the roots of one with values, by a snapshot of either and by
// commits; it finds what is equal, of every type, and none of its files holds a value.
func TestAKeyedStoreHasTheSameRootsAndNoValue(t *testing.T) {
	dir := t.TempDir()
	full := openAt(t, filepath.Join(dir, "full"), vfs.Default)
	defer closeStore(t, full)
	all := grown(t, full, 26)
	first := openKeyed(t, filepath.Join(dir, "keyed"))
	installKeys(t, first, full.Snapshots()[1]) // at 16; another is passed on the way
	for i := first.Size(); i < 26; i++ {
		change(t, first, i+1, all[i].keyed().entered)
	}
	if got, want := lastLeaf(t, first), lastLeaf(t, full); !bytes.Equal(got, want) {
		t.Fatal("the roots differ")
	}
	first.keeping.Wait()
	second := openKeyed(t, filepath.Join(dir, "second"))
	installKeys(t, second, newestKept(t, first))
	closeStore(t, second)
	closeStore(t, first)
	first, second = openKeyed(t, filepath.Join(dir, "keyed")), openKeyed(t, filepath.Join(dir, "second"))
	defer closeStore(t, first)
	defer closeStore(t, second)
	for name, s := range map[string]*Store{"of values": first, "of keys": second} {
		for i := range s.Size() {
			if len(hits(t, s, digest(i))) != 1 || len(hits(t, s, pdq(byte(i), 0))) != 1 {
				t.Fatalf("from a snapshot %s: addition %d is not found", name, i)
			}
		}
		if got := hits(t, s, pdq(3, 1)); len(got) != 0 || len(hits(t, full, pdq(3, 1))) == 0 {
			t.Fatalf("from a snapshot %s: something near was found: %v", name, got)
		}
		var out bytes.Buffer
		none := digest(1000)
		if _, err := s.ListedRows(&out, bytes.NewReader(slices.Concat(digest(2).Value, none.Value, digest(5).Value))); err != nil || out.String() != "\x01\x00\x01" {
			t.Fatalf("from a snapshot %s: rows %x, %v", name, out.String(), err)
		}
		if v, err := s.Verify(t.Context()); err != nil || len(v.Bad) > 0 || v.Opened != v.Live {
			t.Fatalf("from a snapshot %s: %+v, %v", name, v, err)
		}
		if got := s.Inexact([]spec.Signal{digest(0), pdq(0, 0), pdq(1, 0)}); !slices.Equal(got, []string{"pdq"}) || full.Inexact([]spec.Signal{pdq(0, 0)}) != nil {
			t.Fatalf("compared for equality alone: %v", got)
		}
	}
	if err := errors.Join(first.Sync(), second.Sync()); err != nil {
		t.Fatal(err)
	}
	for i := range byte(24) {
		for _, v := range [][]byte{digest(uint64(i)).Value, pdq(i, 0).Value} {
			for _, name := range []string{"keyed", "second"} {
				if files := holding(t, filepath.Join(dir, name), v); len(files) > 0 {
					t.Fatalf("%s holds a value in %v", name, files)
				}
			}
		}
	}
}

// installKeys is install from chunks of keys.
func installKeys(t *testing.T, s *Store, k *Kept) {
	t.Helper()
	head := k.Head()
	st, err := s.Stage(&head)
	if err != nil {
		t.Fatal(err)
	}
	live, rules := st.Missing()
	for _, i := range live {
		b, err := k.Keys(i)
		if err == nil {
			err = st.Chunk(i, b)
		}
		if err != nil {
			t.Fatalf("chunk %d: %v", i, err)
		}
	}
	for _, i := range rules {
		b, err := k.Rules(i)
		if err == nil {
			err = st.Rules(i, b)
		}
		if err != nil {
			t.Fatalf("rules %d: %v", i, err)
		}
	}
	if err := st.Install(t.Context(), func() error { return nil }); err != nil {
		t.Fatal(err)
	}
}

func lastLeaf(t *testing.T, s *Store) []byte {
	t.Helper()
	leaves, err := s.Leaves(s.Size()-1, 1)
	if err != nil || len(leaves) != 1 {
		t.Fatalf("the last leaf: %v", err)
	}
	return leaves[0]
}

// What is for one tier is refused by a store of the other, before it is kept.
func TestTiersDoNotMix(t *testing.T) {
	dir := t.TempDir()
	full := openAt(t, filepath.Join(dir, "full"), vfs.Default)
	grown(t, full, 9)
	keyed := openKeyed(t, filepath.Join(dir, "keyed"))
	a := newAddition(100, digest(100), pdq(100, 0))
	for _, c := range []struct {
		s *Store
		o spec.Opening
	}{{keyed, a.opening}, {full, *a.opening.Keys()}} {
		tx, err := c.s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Hold(a.id, &c.o); spec.CodeOf(err) != spec.CodeMismatch {
			t.Fatalf("an opening of another tier: %v", err)
		}
		tx.Drop()
	}
	k := newestKept(t, full)
	head := k.Head()
	st, err := keyed.Stage(&head)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	live, _ := st.Missing()
	for _, i := range live {
		b, err := k.Chunk(i)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) == 0 {
			continue
		}
		refused++
		if err := st.Chunk(i, b); spec.CodeOf(err) != spec.CodeMalformed {
			t.Fatalf("a chunk of values: %v", err)
		}
		keys, err := k.Keys(i)
		if err != nil {
			t.Fatal(err)
		}
		keys[3]++
		if err := st.Chunk(i, keys); spec.CodeOf(err) == "" {
			t.Fatal("a chunk with an altered key was taken")
		}
	}
	if refused == 0 {
		t.Fatal("no chunk holds anything")
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	closeStore(t, keyed)
	closeStore(t, full)
	for name, want := range map[string]bool{"full": true, "keyed": false} {
		o := options(t, vfs.Default)
		o.Keyed = want
		if _, err := Open(filepath.Join(dir, name), o); spec.CodeOf(err) != spec.CodeTier {
			t.Fatalf("the store %s opened as another: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "keyed", "CURRENT")); err != nil {
		t.Fatal(err)
	}
}
