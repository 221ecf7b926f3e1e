// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// damagedBuckets goes down from the root to what is damaged.
func damagedBuckets(t *testing.T, s *Store) []uint32 {
	t.Helper()
	c, err := s.CheckLive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return damagedIn(c, LiveBits)
}

func damagedIn(c *TreeCheck, bits int) (out []uint32) {
	var down func(level int, index uint64)
	down = func(level int, index uint64) {
		switch {
		case !c.Damaged(level, index):
		case level == bits:
			out = append(out, uint32(index))
		default:
			down(level+1, 2*index)
			down(level+1, 2*index+1)
		}
	}
	down(0, 0)
	return out
}

// Whatever happens to a record is undone from a chunk of another store, also where
// the bucket has changed since.
func TestADamagedBucketIsPutInPlace(t *testing.T) {
	other := openAt(t, "other", vfs.NewMem())
	defer closeStore(t, other)
	s := openAt(t, "store", vfs.NewMem())
	defer closeStore(t, s)
	all := grown(t, other, 8)
	grown(t, s, 8)
	k := newestKept(t, other)
	victim := all[3]
	sig := victim.opening.Signals[0].Signal
	key, bucket := keyOf(victim), bucketOf(sig)
	put := func(key, value []byte) {
		t.Helper()
		if err := s.db.pebble.Set(key, value, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	flipped := func(at int) func(value []byte) {
		return func(value []byte) {
			v := slices.Clone(value)
			v[at] ^= 1
			put(key, v)
		}
	}
	faults := map[string]func(value []byte){
		"a flipped bit of its type":       flipped(2),
		"a flipped bit of its value":      flipped(20),
		"a flipped bit of its commitment": flipped(60),
		"a flipped bit of what it says":   flipped(100),
		"no CBOR":                         func([]byte) { put(key, []byte{0xff}) },
		"gone": func([]byte) {
			if err := s.db.pebble.Delete(key, pebble.Sync); err != nil {
				t.Fatal(err)
			}
		},
		"one more": func(value []byte) { put(liveKey(sig.Key(), spec.Hash{1}), value) },
	}
	run := func(t *testing.T) {
		for name, damage := range faults {
			value, err := get(s.db.pebble, key)
			if err != nil || value == nil {
				t.Fatalf("%s: the victim is not there: %v", name, err)
			}
			damage(value)
			if got := damagedBuckets(t, s); !slices.Equal(got, []uint32{bucket}) {
				t.Fatalf("%s: %v is damaged, not %d", name, got, bucket)
			}
			chunk := ChunkOfBucket(uint64(bucket))
			data, err := k.Chunk(chunk)
			if err != nil {
				t.Fatal(err)
			}
			bad := slices.Clone(data)
			bad[len(bad)-1] ^= 1
			if err := s.RepairLive(bucket, bad, k.Head().ChunkRoots[chunk]); spec.CodeOf(err) != spec.CodeProof && spec.CodeOf(err) != spec.CodeMalformed {
				t.Fatalf("%s: a poisoned chunk: %v", name, err)
			}
			if got := damagedBuckets(t, s); len(got) != 1 {
				t.Fatalf("%s: after a poisoned chunk %v is damaged", name, got)
			}
			if err := s.RepairLive(bucket, data, k.Head().ChunkRoots[chunk]); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := damagedBuckets(t, s); len(got) > 0 {
				t.Fatalf("%s: %v is still damaged", name, got)
			}
			if v, err := s.Verify(t.Context()); err != nil || len(v.Bad) > 0 || s.Damage() != nil {
				t.Fatalf("%s: %+v, %v, %v", name, v, err, s.Damage())
			}
			if again, err := get(s.db.pebble, key); err != nil || string(again) != string(value) {
				t.Fatalf("%s: the record is another: %v", name, err)
			}
			if h := hits(t, s, sig); len(h) != 1 || h[0].Entry.Entry != spec.EntryID(victim.id, 0) {
				t.Fatalf("%s: looking it up finds %+v", name, h)
			}
		}
	}
	run(t)
	// Another entry lists the same value after the snapshot: the bucket has changed.
	change(t, s, 50, newAddition(77, sig).entered)
	change(t, s, 51, func(tx *Tx) error { return nil })
	for name, damage := range faults {
		value, err := get(s.db.pebble, key)
		if err != nil {
			t.Fatal(err)
		}
		damage(value)
		chunk := ChunkOfBucket(uint64(bucket))
		data, err := k.Chunk(chunk)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.RepairLive(bucket, data, k.Head().ChunkRoots[chunk]); err != nil {
			t.Fatalf("%s, after the bucket changed: %v", name, err)
		}
		if got := damagedBuckets(t, s); len(got) > 0 || len(hits(t, s, sig)) != 2 {
			t.Fatalf("%s, after the bucket changed: %v is damaged", name, got)
		}
	}
}
