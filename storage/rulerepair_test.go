// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// sameBucket makes n record keys in the bucket of a key.
func sameBucket(key []byte, n int) (out [][]byte) {
	bucket := func(k []byte) uint16 { p := spec.RulePlace(k); return binary.BigEndian.Uint16(p[:]) }
	for i := uint64(0); len(out) < n; i++ {
		if k := binary.BigEndian.AppendUint64([]byte("zz/"), i); bucket(k) == bucket(key) {
			out = append(out, k)
		}
	}
	return out
}

// Whatever happens to a record of the rules or to its leaf is named and undone from
// a chunk of another store, also where the bucket has changed since.
func TestADamagedBucketOfRulesIsPutInPlace(t *testing.T) {
	other := openAt(t, "other", vfs.NewMem())
	defer closeStore(t, other)
	s := openAt(t, "store", vfs.NewMem())
	defer closeStore(t, s)
	victim := spec.EntryKey(spec.EntryID(grown(t, other, 8)[3].id, 0))
	grown(t, s, 8)
	k := newestKept(t, other)
	p := spec.RulePlace(victim)
	bucket := uint32(binary.BigEndian.Uint16(p[:]))
	chunk := RuleChunkOfBucket(uint64(bucket))
	root := k.Head().RuleRoots[chunk]
	data, err := k.Rules(chunk)
	if err != nil {
		t.Fatal(err)
	}
	near := sameBucket(victim, 3)
	record, leaf := recordKey(victim), ruleLeafKey(p)
	flip := func(key []byte) error {
		v, err := get(s.db.pebble, key)
		if err != nil || len(v) == 0 {
			return fmt.Errorf("nothing to flip: %w", err)
		}
		v[len(v)/2] ^= 1
		return s.db.pebble.Set(key, v, pebble.Sync)
	}
	gone := func(key []byte) error { return s.db.pebble.Delete(key, pebble.Sync) }
	faults := map[string]func() error{
		"a flipped bit of the record":        func() error { return flip(record) },
		"a flipped bit of the leaf":          func() error { return flip(leaf) },
		"a flipped bit of both":              func() error { return errors.Join(flip(record), flip(leaf)) },
		"the record is gone":                 func() error { return gone(record) },
		"the leaf is gone":                   func() error { return gone(leaf) },
		"both are gone":                      func() error { return errors.Join(gone(record), gone(leaf)) },
		"the leaf is no hash":                func() error { return s.db.pebble.Set(leaf, []byte{1}, pebble.Sync) },
		"a record that nobody wrote":         func() error { return s.db.pebble.Set(recordKey(near[2]), []byte{1}, pebble.Sync) },
		"a leaf without a record":            func() error { return s.db.pebble.Set(ruleLeafKey(spec.RulePlace(near[2])), p[:], pebble.Sync) },
		"another record with its leaf":       func() error { return putBoth(s, near[2], []byte{9}) },
		"the record and its leaf are others": func() error { return putBoth(s, victim, []byte{9}) },
	}
	state := func() string {
		t.Helper()
		var out []byte
		for _, table := range []byte{tableRecord, tableRuleLeaf} {
			it, err := s.db.pebble.NewIter(tableBounds(table, nil, nil))
			if err != nil {
				t.Fatal(err)
			}
			for it.First(); it.Valid(); it.Next() {
				out = fmt.Appendf(out, "%x %x\n", it.Key(), it.Value())
			}
			if err := errors.Join(it.Error(), it.Close()); err != nil {
				t.Fatal(err)
			}
		}
		return string(out)
	}
	run := func(t *testing.T) {
		whole := state()
		for name, damage := range faults {
			if err := damage(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			c, err := s.CheckRules(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := damagedIn(&c.TreeCheck, RuleBits); !slices.Equal(got, []uint32{bucket}) {
				t.Fatalf("%s: %v is damaged, not %d", name, got, bucket)
			}
			var named *BucketError
			if !errors.As(s.Damage(), &named) || named.Bucket != bucket || named.Tree != "rules" {
				t.Fatalf("%s: the damage is %v", name, s.Damage())
			}
			broken := state()
			bad := slices.Clone(data)
			bad[len(bad)-1] ^= 1
			if err := s.RepairRules(c, bucket, bad, root); spec.CodeOf(err) != spec.CodeProof {
				t.Fatalf("%s: a poisoned chunk: %v", name, err)
			}
			if state() != broken || s.Damage() == nil {
				t.Fatalf("%s: a poisoned chunk changed something", name)
			}
			if err := s.RepairRules(c, bucket, data, root); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if state() != whole {
				t.Fatalf("%s: the records are others than before", name)
			}
			if v, err := s.Verify(t.Context()); err != nil || len(v.Bad) > 0 || s.Damage() != nil {
				t.Fatalf("%s: %+v, %v, %v", name, v, err, s.Damage())
			}
		}
	}
	t.Run("as in the snapshot", run)
	// Two records of the bucket are newer than the snapshot.
	change(t, s, 50, func(tx *Tx) error { return errors.Join(tx.Put(near[0], []byte{1}), tx.Put(near[1], []byte{2})) })
	t.Run("with records newer than the snapshot", run)
	// What the snapshot does not have any more as it is here cannot be had from it.
	change(t, s, 51, func(tx *Tx) error { return tx.Put(victim, []byte{7}) })
	if err := flip(record); err != nil {
		t.Fatal(err)
	}
	c, err := s.CheckRules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	broken := state()
	if err := s.RepairRules(c, bucket, data, root); spec.CodeOf(err) != spec.CodeCorrupt || state() != broken {
		t.Fatalf("from an old snapshot: %v", err)
	}
}

func putBoth(s *Store, key, value []byte) error {
	leaf := spec.RuleLeaf(key, value)
	return errors.Join(s.db.pebble.Set(recordKey(key), value, pebble.Sync), s.db.pebble.Set(ruleLeafKey(spec.RulePlace(key)), leaf[:], pebble.Sync))
}

// What was read from a damaged record is not remembered once it is repaired.
func TestARepairedRecordIsReadAgain(t *testing.T) {
	s := openAt(t, "store", vfs.NewMem())
	defer closeStore(t, s)
	key := spec.EntryKey(spec.EntryID(grown(t, s, 8)[3].id, 0))
	k := newestKept(t, s)
	whole, err := s.Record(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.pebble.Set(recordKey(key), []byte{99}, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	decode := func(v []byte) (any, error) { return string(v), nil }
	clear(s.db.hot)
	change(t, s, 60, func(tx *Tx) error { _, err := tx.Record(key); return err })
	if v, err := s.Decoded(key, decode); err != nil || v != "\x63" {
		t.Fatalf("the damaged record reads %q, %v: the test shows nothing", v, err)
	}
	c, err := s.CheckRules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range damagedIn(&c.TreeCheck, RuleBits) {
		chunk := RuleChunkOfBucket(uint64(b))
		data, err := k.Rules(chunk)
		if err == nil {
			err = s.RepairRules(c, b, data, k.Head().RuleRoots[chunk])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if v, err := s.Decoded(key, decode); err != nil || v != string(whole) {
		t.Fatalf("decoded: %q, %v", v, err)
	}
	change(t, s, 61, func(tx *Tx) error {
		if v, err := tx.Record(key); err != nil || string(v) != string(whole) {
			t.Errorf("a batch reads %q, %v", v, err)
		}
		return nil
	})
}
