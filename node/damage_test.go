// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage"
)

// alter flips one bit in the live record of a signal, in the database of a node
// that does not run: in what stands behind a mark, so many bytes on.
func alter(t *testing.T, p *trial.Participant, s spec.Signal, mark []byte, on int) {
	t.Helper()
	db, err := pebble.Open(filepath.Join(p.Dir, "fsm", "db-1"), &pebble.Options{FormatMajorVersion: pebble.FormatColumnarBlocks, Logger: quietPebble{}})
	if err != nil {
		t.Fatal(err)
	}
	k := s.Key()
	prefix := append([]byte{2}, k[:]...)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix})
	if err != nil {
		t.Fatal(err)
	}
	if !it.First() || !bytes.HasPrefix(it.Key(), prefix) {
		t.Fatal("the signal is not live: the test shows nothing")
	}
	key, value := bytes.Clone(it.Key()), bytes.Clone(it.Value())
	value[bytes.Index(value, mark)+on] ^= 1
	if err := errors.Join(it.Close(), db.Set(key, value, pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
}

type quietPebble struct{}

func (quietPebble) Infof(string, ...any)         {}
func (quietPebble) Errorf(string, ...any)        {}
func (quietPebble) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

// bucketName is how the bucket of a signal is named.
func bucketName(s spec.Signal) string {
	k := s.Key()
	return fmt.Sprintf("bucket %d of 262144 of the live signals", uint32(k[0])<<10|uint32(k[1])<<2|uint32(k[2])>>6)
}

// One flipped bit in one member's store keeps that member from cosigning and from
// answering, is named by its bucket everywhere that an operator looks, and stops
// nobody else.
func TestAFlippedBitStopsOneMemberAlone(t *testing.T) {
	ctx, c := found(t, 4)
	list4 := func(s spec.Signal) {
		t.Helper()
		id := list(t, c, s)
		if _, err := c.Members[2].Vote(ctx, api.Ballot{Case: id, Choice: spec.Approve}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range byte(3) {
		list4(sha(i))
	}
	delta := c.Members[3]
	awaitMatches(t, ctx, delta, sha(2), 1)
	if err := delta.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	alter(t, delta, sha(1), sha(1).Value, 7)
	if err := c.Start(ctx, delta); err != nil {
		t.Fatal(err)
	}
	var s api.Status
	err := trial.Await(ctx, func() (bool, error) {
		st, err := delta.Status(ctx)
		s = st
		return st.Damage != "" && st.NotCosigning != "", err
	})
	if err != nil {
		t.Fatal("the damage is not found")
	}
	want := bucketName(sha(1))
	if !strings.Contains(s.Damage, want) || !strings.Contains(s.NotCosigning, want) || !strings.Contains(delta.MayCosign().Error(), want) {
		t.Errorf("the status says %q and %q, want %s", s.Damage, s.NotCosigning, want)
	}
	ready := delta.Ready(ctx)
	if check := ready[len(ready)-1]; check.OK || check.Name != "store" || !strings.Contains(check.Reason, want) {
		t.Errorf("readiness: %+v", ready)
	}
	if _, err := delta.Match(ctx, []spec.Signal{sha(2)}); spec.CodeOf(err) != spec.CodeNotReady || !strings.Contains(err.Error(), want) {
		t.Errorf("a damaged node answers a lookup: %v", err)
	}
	if r, err := delta.VerifyStore(ctx); err != nil || len(r.Bad) != 1 || !strings.Contains(want, fmt.Sprintf("bucket %d of", r.Bad[0].Bucket)) {
		t.Errorf("looking again: %+v, %v", r, err)
	}

	list4(sha(9))
	size := c.Members[0].LogSize()
	for _, p := range c.Members[:3] {
		if err := trial.Await(ctx, func() (bool, error) { return p.Final().Size >= size, nil }); err != nil {
			t.Fatalf("%s: the log is not final without the damaged member", p.ID)
		}
		if st, err := p.Status(ctx); err != nil || st.Damage != "" || st.NotCosigning != "" {
			t.Errorf("%s says %+v, %v", p.ID, st, err)
		}
	}
	final, err := panelOf(t, c.Members[0]).OpenFinal(c.Members[0].Final().Note)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range final.Cosignatures {
		if x.Org == delta.ID {
			t.Error("the damaged member cosigned")
		}
	}
}

// What would change a root of the state keeps the member from starting, and the
// message with which it ends names the bucket.
func TestADamagedMemberDoesNotStart(t *testing.T) {
	ctx, c := found(t, 3)
	list(t, c, sha(1))
	charlie := c.Members[2]
	awaitMatches(t, ctx, charlie, sha(1), 1)
	if err := charlie.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	alter(t, charlie, sha(1), []byte("isil"), 1)
	err := c.Start(ctx, charlie)
	var b *storage.BucketError
	if !errors.As(err, &b) || spec.CodeOf(err) != spec.CodeCorrupt || !strings.Contains(err.Error(), bucketName(sha(1))) {
		t.Fatalf("starting: %v, want %s", err, bucketName(sha(1)))
	}
	charlie.Node = nil
	list(t, c, sha(2))
	awaitMatches(t, ctx, c.Members[1], sha(2), 1)
}
