// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// Whatever a batch does much of shows in Worked: a watchdog takes a batch for hung
// while it stands still.
func TestEverySignalOfABatchIsAStep(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	many := make([]spec.Signal, 300)
	for i := range many {
		many[i] = spec.Signal{Type: "sha256", Value: fmt.Appendf(nil, "%032d", i)}
	}
	a := newAddition(9, many...)
	grows := func(what string, fn func() error) {
		before := s.Worked()
		if err := fn(); err != nil {
			t.Fatal(err)
		}
		if n := s.Worked() - before; n < uint64(len(many)) {
			t.Errorf("%s: %d steps for %d signals", what, n, len(many))
		}
	}
	for i, fn := range []func(tx *Tx) error{a.list, func(tx *Tx) error { return tx.List(a.listing(spec.StateRetracted, true)) }} {
		tx, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Drop()
		grows("changing what is live", func() error { return fn(tx) })
		seal(t, tx)
		grows("making it visible", func() error { return tx.Commit(Applied{Index: uint64(i) + 1, Term: 1}) })
	}
}
