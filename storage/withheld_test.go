// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tocsin-db/tocsin/spec"
)

func TestErasedValuesAreGoneAndTheLogStays(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	a := newAddition(1, sha(0xab), pdq(0xcd, 0))
	change(t, s, 1, a.list)
	root := spec.CommitmentRoot(a.opening.Signals)
	change(t, s, 2, func(tx *Tx) error {
		return errors.Join(tx.List(a.listing(spec.StateRetracted, true)), tx.Erase(spec.Erasure{Case: a.id, Count: 2}))
	})
	o, err := s.Opening(a.id)
	if err != nil || spec.CommitmentRoot(o.Signals) != root {
		t.Fatalf("the commitments do not hash to the proposal's root any more: %v", err)
	}
	for _, x := range o.Signals {
		if !x.Erased {
			t.Fatal("a value of a retracted entry is still held")
		}
	}
	closeStore(t, s)
	closeStore(t, open(t, fs))
}

// A replica that comes after an erasure counts what it cannot hold, and knows its
// live root again once nothing is withheld.
func TestWithheldValues(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	a := newAddition(1, sha(1), sha(2))
	a.opening.Signals[1] = spec.Opened{Erased: true, Blinded: a.opening.Signals[1].Commitment()}
	tx, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Drop()
	if err := a.list(tx); err != nil {
		t.Fatal(err)
	}
	if r, err := tx.Roots(); err != nil || r.LiveKnown || r.LiveCount != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := tx.List(a.listing(spec.StateDisputed, true)); err != nil {
		t.Fatal(err)
	}
	if r, _ := tx.Roots(); r.LiveCount != 2 {
		t.Fatalf("a change of state counted a withheld value again: %+v", r)
	}
	if err := tx.List(a.listing(spec.StateRetracted, true)); err != nil {
		t.Fatal(err)
	}
	if r, err := tx.Roots(); err != nil || !r.LiveKnown || r.LiveCount != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// A copy of an opening that comes later can only have lost values since; one that has
// them still must not bring them back, neither in the batch in which the operation was
// new nor in a later one.
func TestWhatWasErasedIsNotHeldAgain(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	a := newAddition(1, sha(1), sha(2))
	hold := func(tx *Tx) error { return tx.Hold(a.id, &a.opening) }
	check := func() {
		t.Helper()
		o, err := s.Opening(a.id)
		if err != nil {
			t.Fatal(err)
		}
		for i := range o.Signals {
			if !o.Signals[i].Erased {
				t.Fatalf("signal %d is back", i)
			}
		}
	}
	change(t, s, 1, func(tx *Tx) error {
		if _, found, err := tx.Find(a.id); found || err != nil {
			t.Fatalf("found in an empty log: %v", err)
		}
		return errors.Join(tx.Append([]byte{1}), hold(tx), tx.Erase(spec.Erasure{Case: a.id, Count: 2}), hold(tx))
	})
	check()
	change(t, s, 2, hold)
	check()
}
