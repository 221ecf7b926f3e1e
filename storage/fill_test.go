// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/binary"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// filled is entry i of a filled store: a digest and a picture.
func filled(i int) FillEntry {
	var v, w [32]byte
	binary.BigEndian.PutUint64(v[:], uint64(i)+1)
	binary.LittleEndian.PutUint64(w[i%24:], uint64(i)*0x9e3779b97f4a7c15)
	return FillEntry{
		Case: spec.LeafHash(binary.BigEndian.AppendUint64(nil, uint64(i/FillItems))), Org: "alpha", Labels: []string{"video"},
		Signals: []spec.Signal{{Type: "sha256", Value: v[:]}, {Type: "pdq", Value: w[:], Quality: 90}},
	}
}

func fill(t *testing.T, fs vfs.FS, n int) {
	t.Helper()
	s := open(t, fs)
	change(t, s, 1, newAddition(1, sha(1)).entered)
	if err := s.Fill(t.Context(), n, filled); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
}

func TestAFilledStoreAnswersOnceItIsOpenedAgain(t *testing.T) {
	const n = 20_000
	fs := vfs.NewMem()
	fill(t, fs, n)
	s := open(t, fs)
	defer closeStore(t, s)
	if h := s.Head(); h.Live != 2*n+1 || h.Entries != n+1 {
		t.Fatalf("%d live signals of %d entries, want %d of %d", h.Live, h.Entries, 2*n+1, n+1)
	}
	for i := 0; i < n; i += 997 {
		e := filled(i)
		for _, sig := range e.Signals {
			found := false
			for _, h := range hits(t, s, sig) {
				found = found || h.Entry.Entry == spec.EntryID(e.Case, i%FillItems) && h.Distance == 0
			}
			if !found {
				t.Fatalf("the %s of entry %d is not found", sig.Type, i)
			}
		}
	}
	if v, err := s.Verify(t.Context()); err != nil || len(v.Bad) != 0 || v.Opened != 2*n+1 {
		t.Fatalf("looking at every record again: %+v, %v", v, err)
	}
	if len(hits(t, s, sha(1))) != 1 || len(hits(t, s, sha(2))) != 0 {
		t.Fatal("what was listed before is still listed, and nothing else")
	}
	change(t, s, 2, newAddition(2, sha(2)).list)
	if len(hits(t, s, sha(2))) != 1 {
		t.Fatal("a filled store takes no more entries")
	}
}

// TestAStartFindsEveryDamage changes one record at a time and opens the store.
func TestAStartFindsEveryDamage(t *testing.T) {
	fs := vfs.NewMem()
	fill(t, fs, 3000)
	for name, damage := range map[string]func(db *pebble.DB) error{
		"a live signal is gone":          func(db *pebble.DB) error { return db.Delete(nth(t, db, tableLive, 1234), nil) },
		"a live signal says another":     func(db *pebble.DB) error { return flip(t, db, tableLive, 2222) },
		"a record is gone":               func(db *pebble.DB) error { return db.Delete(nth(t, db, tableRecord, 1500), nil) },
		"a record says another":          func(db *pebble.DB) error { return flip(t, db, tableRecord, 900) },
		"the leaf of a record is gone":   func(db *pebble.DB) error { return db.Delete(nth(t, db, tableRuleLeaf, 17), nil) },
		"the leaf of a record is wrong":  func(db *pebble.DB) error { return flip(t, db, tableRuleLeaf, 2900) },
		"a record that nobody wrote":     func(db *pebble.DB) error { return db.Set(recordKey([]byte("zz")), []byte{1}, nil) },
		"a record and its leaf are gone": func(db *pebble.DB) error { return dropRecord(t, db, 2000) },
	} {
		copied := vfs.NewMem()
		if ok, err := vfs.Clone(fs, copied, "", ""); !ok || err != nil {
			t.Fatal(err)
		}
		s := open(t, copied)
		if err := damage(s.db.pebble); err != nil {
			t.Fatal(name, err)
		}
		closeStore(t, s)
		if s, err := Open("store", options(t, copied)); spec.CodeOf(err) != spec.CodeCorrupt {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				closeStore(t, s)
			}
		}
	}
}

// nth returns a key of a table.
func nth(t *testing.T, db *pebble.DB, table byte, n int) []byte {
	t.Helper()
	it, err := db.NewIter(tableBounds(table, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for it.First(); n > 0; n-- {
		it.Next()
	}
	return append([]byte(nil), it.Key()...)
}

// flip changes a bit in the middle of a record.
func flip(t *testing.T, db *pebble.DB, table byte, n int) error {
	key := nth(t, db, table, n)
	v, err := get(db, key)
	if err != nil {
		return err
	}
	v[len(v)/2] ^= 1
	return db.Set(key, v, nil)
}

func dropRecord(t *testing.T, db *pebble.DB, n int) error {
	key := nth(t, db, tableRecord, n)
	if err := db.Delete(ruleLeafKey(spec.RulePlace(key[1:])), nil); err != nil {
		return err
	}
	return db.Delete(key, nil)
}
