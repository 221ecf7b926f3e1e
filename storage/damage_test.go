// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// entered lists an addition with the record that the rules would keep of it.
func (a addition) entered(tx *Tx) error {
	e := spec.Entry{Case: a.id, Org: "alpha", State: spec.StateActive, Labels: []string{"label"}, Count: uint64(len(a.opening.Signals)), Confirmed: true}
	b, err := spec.Encode(&e)
	return errors.Join(err, tx.Hold(a.id, &a.opening), tx.List(a.listing(spec.StateActive, false)), tx.Put(spec.EntryKey(spec.EntryID(a.id, 0)), b))
}

// stocked is a store with forty entries of five signals each.
func stocked(t *testing.T, dir string, fs vfs.FS) (*Store, []addition) {
	t.Helper()
	s, err := Open(dir, options(t, fs))
	if err != nil {
		t.Fatal(err)
	}
	var all []addition
	for n := range byte(40) {
		var signals []spec.Signal
		for i := range byte(5) {
			value := sha256.Sum256([]byte{n, i}) // does not compress
			signals = append(signals, spec.Signal{Type: "sha256", Value: value[:]})
		}
		a := newAddition(n, signals...)
		change(t, s, uint64(n)+1, a.entered)
		all = append(all, a)
	}
	return s, all
}

func bucketOf(sig spec.Signal) uint32 { return newBucketTree(liveBits).bucketOf(sig.Key()) }

// keyOf is where the first signal of an addition stands.
func keyOf(a addition) []byte {
	return liveKey(a.opening.Signals[0].Signal.Key(), spec.EntryID(a.id, 0))
}

func names(err error, bucket uint32) bool {
	var b *BucketError
	return errors.As(err, &b) && b.Bucket == bucket && b.Of == 1<<18 && b.Tree == "live signals" && spec.CodeOf(err) == spec.CodeCorrupt &&
		strings.Contains(err.Error(), b.Error())
}

// What a fault does to one record of a database behind the store's back.
var faults = map[string]func(t *testing.T, db *pebble.DB, key []byte){
	"a flipped bit of its value": func(t *testing.T, db *pebble.DB, key []byte) {
		b, err := get(db, key)
		if err != nil || b == nil {
			t.Fatal("no record", err)
		}
		at := bytes.Index(b, []byte{0x58, 0x20}) + 10 // in the value's 32 bytes
		b[at] ^= 4
		if err := db.Set(key, b, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	},
	"a flipped bit of its labels": func(t *testing.T, db *pebble.DB, key []byte) {
		b, err := get(db, key)
		if err != nil || b == nil {
			t.Fatal("no record", err)
		}
		b[bytes.Index(b, []byte("label"))+1] ^= 1
		if err := db.Set(key, b, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	},
	"a record that is gone": func(t *testing.T, db *pebble.DB, key []byte) {
		if err := db.Delete(key, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	},
	"a record that cannot be decoded": func(t *testing.T, db *pebble.DB, key []byte) {
		if err := db.Set(key, []byte{0xff}, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	},
}

// A change to a bucket that is not what was written is refused before its root
// enters the log; other buckets go on, and looking at all names it.
func TestDamageIsNamedAndNeverEntersARoot(t *testing.T) {
	for name, damage := range faults {
		t.Run(name, func(t *testing.T) {
			s, all := stocked(t, "store", vfs.NewMem())
			defer closeStore(t, s)
			victim := all[7]
			bucket := bucketOf(victim.opening.Signals[0].Signal)
			if v, err := s.Verify(t.Context()); err != nil || len(v.Bad) != 0 || v.Live != 200 || v.Opened != 200 || v.Rules != 40 || v.Size != 40 {
				t.Fatalf("before: %+v, %v", v, err)
			}
			damage(t, s.db.pebble, keyOf(victim))
			forgetBuckets(s)
			before := s.Head()

			tx, err := s.Begin()
			if err != nil {
				t.Fatal(err)
			}
			retracted := victim.listing(spec.StateRetracted, true)
			err = tx.List(retracted)
			if err == nil {
				_, err = tx.Roots()
			}
			tx.Drop()
			if name == "a flipped bit of its value" { // the leaf is made of k, c and what it says of its entry
				if err != nil {
					t.Fatalf("changing it: %v", err)
				}
			} else if !names(err, bucket) || !names(s.Damage(), bucket) || s.Head().Root != before.Root {
				t.Fatalf("changing bucket %d: %v, and the store says %v", bucket, err, s.Damage())
			}
			change(t, s, 41, newAddition(50, sha(250)).entered) // another bucket

			v, err := s.Verify(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(v.Bad) != 1 || !names(v.Bad[0], bucket) || !names(s.Damage(), bucket) {
				t.Errorf("looking at all finds %v, the store says %v, want bucket %d", v.Bad, s.Damage(), bucket)
			}
		})
	}
}

// forgetBuckets makes the next batch read what it changes.
func forgetBuckets(s *Store) {
	for _, c := range s.db.buckets {
		c.leaves = maxCachedLeaves + 1
	}
}

// A bucket in memory keeps its root right, and shows what its table lost.
func TestALostRecordShowsInABucketThatIsInMemory(t *testing.T) {
	s, all := stocked(t, "store", vfs.NewMem())
	defer closeStore(t, s)
	victim := all[7]
	bucket := bucketOf(victim.opening.Signals[0].Signal)
	faults["a record that is gone"](t, s.db.pebble, keyOf(victim))
	tx, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Drop()
	if err = tx.List(victim.listing(spec.StateRetracted, true)); err == nil {
		_, err = tx.Roots()
	}
	if !names(err, bucket) || !names(s.Damage(), bucket) {
		t.Errorf("changing bucket %d: %v, and the store says %v", bucket, err, s.Damage())
	}
}

// A damaged store does not open, and says which bucket it is.
func TestADamagedStoreDoesNotOpen(t *testing.T) {
	for name, damage := range faults {
		if name == "a flipped bit of its value" {
			continue // opening hashes leaves; Verify looks at values
		}
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s, all := stocked(t, "store", fs)
			damage(t, s.db.pebble, keyOf(all[3]))
			bucket := bucketOf(all[3].opening.Signals[0].Signal)
			closeStore(t, s)
			if _, err := Open("store", options(t, fs)); !names(err, bucket) {
				t.Errorf("opening: %v, want bucket %d", err, bucket)
			}
			v, err := VerifyDir(t.Context(), "store", options(t, fs))
			if err != nil || len(v.Bad) != 1 || !names(v.Bad[0], bucket) {
				t.Errorf("looking at all finds %+v, %v, want bucket %d", v, err, bucket)
			}
		})
	}
	fs := vfs.NewMem()
	s, _ := stocked(t, "store", fs)
	closeStore(t, s)
	if v, err := VerifyDir(t.Context(), "store", options(t, fs)); err != nil || len(v.Bad) != 0 || v.Live != 200 {
		t.Errorf("a store without damage: %+v, %v", v, err)
	}
}

// A bit that flips on the disk is found by the database's own checksum; the
// buckets behind it are named, and those alone.
func TestABitFlippedOnTheDisk(t *testing.T) {
	dir := t.TempDir()
	s, all := stocked(t, dir, vfs.Default)
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	key := keyOf(all[11])
	bucket := bucketOf(all[11].opening.Signals[0].Signal)
	closeStore(t, s)
	flipped := 0
	files, err := filepath.Glob(filepath.Join(dir, "db-1", "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(b, key[5:33]); at >= 0 { // its place stands in no other table
			b[at+3] ^= 0x10
			flipped++
		}
		if err := os.WriteFile(f, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if flipped == 0 {
		t.Fatal("the record is in no file: the test shows nothing")
	}
	var b *BucketError
	if _, err := Open(dir, options(t, vfs.Default)); !errors.As(err, &b) || spec.CodeOf(err) != spec.CodeCorrupt {
		t.Fatalf("opening: %v", err)
	}
	v, err := VerifyDir(t.Context(), dir, options(t, vfs.Default))
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, x := range v.Bad {
		found = found || x.Bucket == bucket && x.Tree == "live signals"
	}
	if !found && !v.More {
		t.Errorf("bucket %d is not among the %d that are named: %v", bucket, len(v.Bad), v.Bad)
	}
}

// Damage to what the rules go by is named by its bucket of their tree.
func TestADamagedRecordOfTheRules(t *testing.T) {
	s, all := stocked(t, "store", vfs.NewMem())
	defer closeStore(t, s)
	key := spec.EntryKey(spec.EntryID(all[2].id, 0))
	b, err := get(s.db.pebble, recordKey(key))
	if err != nil {
		t.Fatal(err)
	}
	b[bytes.Index(b, []byte("alpha"))] ^= 1
	if err := s.db.pebble.Set(recordKey(key), b, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	v, err := s.Verify(t.Context())
	want := s.db.rules.bucketOf(spec.RulePlace(key))
	if err != nil || len(v.Bad) != 1 || v.Bad[0].Bucket != want || v.Bad[0].Of != 1<<16 || v.Bad[0].Tree != "rules" {
		t.Errorf("%+v, %v, want bucket %d", v, err, want)
	}
}
