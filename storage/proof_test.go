// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// lastRoots reads the StateRoot leaf that ends the log.
func lastRoots(t *testing.T, s *Store) *spec.StateRoot {
	t.Helper()
	leaves, err := s.Leaves(s.Size()-1, 1)
	if err != nil {
		t.Fatal(err)
	}
	l, err := spec.ParseLeaf(leaves[0])
	if err != nil || l.StateRoot == nil {
		t.Fatalf("the log ends with %+v, %v", l, err)
	}
	return l.StateRoot
}

func TestRecordsAndLiveSignalsAreProved(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	a := newAddition(1, sha(1), pdq(2, 0))
	const records = 2000 // enough for buckets with two
	key := func(i int) []byte { return fmt.Appendf(nil, "x%d", i) }
	change(t, s, 1, func(tx *Tx) error {
		for i := range records {
			if err := tx.Put(key(i), key(-i)); err != nil {
				return err
			}
		}
		return a.list(tx)
	})
	roots, shared := lastRoots(t, s), 0
	for i := range records {
		p, err := s.Prove([][]byte{key(i), []byte("none")}, spec.Hash{}, spec.Hash{})
		if err != nil || p.Size != s.Size() || len(p.Records) != 1 || string(p.Records[0].Value) != string(key(-i)) || p.Live != nil {
			t.Fatalf("record %d: %+v, %v", i, p, err)
		}
		proof := p.Records[0].Proof
		shared += len(proof.Path)
		if err := proof.Check(tlog.RulesBits, spec.RulePlace(key(i)), spec.RuleLeaf(key(i), key(-i)), roots.RulesRoot); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		if proof.Check(tlog.RulesBits, spec.RulePlace(key(i)), spec.RuleLeaf(key(i), []byte("other")), roots.RulesRoot) == nil {
			t.Fatalf("another record is proved with the proof of %d", i)
		}
	}
	if shared == 0 {
		t.Fatal("no bucket has two records: the test shows less than it means to")
	}
	meta, err := spec.Encode(ptr(a.listing(spec.StateActive, false).Meta))
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range a.opening.Signals {
		k := o.Signal.Key()
		p, err := s.Prove(nil, k, spec.EntryID(a.id, 0))
		if err != nil || p.Live == nil {
			t.Fatalf("signal %d: %+v, %v", i, p, err)
		}
		if err := p.Live.Check(tlog.LiveBits, k, spec.LiveLeaf(k, o.Commitment(), meta), roots.LiveRoot); err != nil {
			t.Fatalf("signal %d: %v", i, err)
		}
		size, bucket, siblings, err := s.LiveBucket(k)
		if err != nil || size != s.Size() || len(bucket) != 1 || bucket[0].K != k {
			t.Fatalf("the bucket of signal %d: %+v, %v", i, bucket, err)
		}
		only := spec.TreeRoot([]spec.Hash{spec.LiveLeaf(bucket[0].K, bucket[0].C, bucket[0].Meta)})
		if err := tlog.CheckBucket(siblings, tlog.LiveBits, k, only, roots.LiveRoot); err != nil {
			t.Fatalf("the bucket of signal %d: %v", i, err)
		}
	}
	if p, err := s.Prove(nil, sha(9).Key(), spec.EntryID(a.id, 0)); err != nil || p.Live != nil {
		t.Fatalf("what is not there: %+v, %v", p, err)
	}
}

func ptr[T any](v T) *T { return &v }

func TestLogHashesGiveTheRoot(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	for i := range uint64(40) {
		change(t, s, i+1, func(tx *Tx) error { return tx.Put([]byte{byte(i)}, []byte{1}) })
		root, err := tlog.Root(s, s.Size())
		if err != nil || root != s.Head().Root {
			t.Fatalf("at %d: %v", s.Size(), err)
		}
	}
	if _, err := s.LogHash(0, s.Size()); spec.CodeOf(err) != spec.CodeNotFound {
		t.Fatalf("a hash behind the end: %v", err)
	}
}
