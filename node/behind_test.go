// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// spoil flips a bit of a live signal in a running node's store.
func spoil(t *testing.T, p *trial.Participant, s spec.Signal) {
	t.Helper()
	k := s.Key()
	prefix := append([]byte{2}, k[:]...)
	it, err := p.Pebble().NewIter(&pebble.IterOptions{LowerBound: prefix})
	if err != nil {
		t.Fatal(err)
	}
	if !it.First() || !bytes.HasPrefix(it.Key(), prefix) {
		t.Fatal("the signal is not live: the test shows nothing")
	}
	key, value := bytes.Clone(it.Key()), bytes.Clone(it.Value())
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	value[len(value)-1] ^= 1
	if err := p.Pebble().Set(key, value, pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

// A reader of the digest tier that knows one other of that tier and nobody else begins
// with a snapshot of it, goes on by what it pushes, gets from it the opening that a
// retraction needs and what repairs its store, and holds no value.
func TestAReaderOfTheDigestTierIsTheSourceOfAnother(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3, Snapshots: 16})
	listPictures(t, c, 0, 10)
	keeping(t, ctx, c.Members...)
	first, err := c.EnrolIn(ctx, "tango", spec.TierDigest, true)
	if err == nil {
		err = c.Start(ctx, first)
	}
	if err != nil {
		t.Fatal(err)
	}
	awaitReady(t, ctx, first)
	listPictures(t, c, 10, 16) // a snapshot size that the first reader passes by itself
	awaitMatches(t, ctx, first, picture(15)[0], 1)
	keeping(t, ctx, first)
	second := behindIn(t, ctx, c, "uniform", first, spec.TierDigest, func(*node.Config) {})
	awaitReady(t, ctx, second)
	for i := range 16 {
		awaitMatches(t, ctx, second, picture(i)[i%2], 1)
	}
	if second.LogFirst() == 0 {
		t.Error("the second reader replayed the log: it did not bootstrap from the first")
	}
	listPictures(t, c, 16, 18)
	awaitMatches(t, ctx, second, picture(17)[1], 1)
	entry := matches(t, c.Members[0], picture(2)[0])[0].Entry
	dispute, err := c.Members[2].Dispute(ctx, api.Claim{Entry: entry, Reason: "lawful-content", Signals: []uint64{0}})
	if err != nil {
		t.Fatal(err)
	}
	approve(t, c.Members[1], dispute)
	awaitMatches(t, ctx, second, picture(2)[0], 0)
	awaitMatches(t, ctx, second, picture(2)[1], 1)
	awaitSame(t, ctx, c, second)

	spoil(t, second, picture(5)[0])
	if v, err := second.VerifyStore(ctx); err != nil || len(v.Bad) != 1 {
		t.Fatalf("a flipped bit: %+v, %v", v, err)
	}
	r, err := second.RepairStore(ctx)
	if err != nil || len(r.Buckets) != 1 || !r.Buckets[0].Repaired || r.Buckets[0].From != "tango" {
		t.Fatalf("repairing: %+v, %v", r, err)
	}
	awaitSame(t, ctx, c, second)
	awaitMatches(t, ctx, second, picture(5)[0], 1)
	if st, err := second.Status(ctx); err != nil || slices.ContainsFunc(st.Sync.Upstreams, func(u api.Upstream) bool { return u.Organisation != "tango" }) {
		t.Errorf("it follows %+v, %v", st.Sync, err)
	}
	for _, p := range []*trial.Participant{second, first} {
		if err := p.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		if name := holdsValue(t, p.Dir, 18); name != "" {
			t.Errorf("%s holds a value", name)
		}
	}
}

// A node of the digest tier whose store was damaged takes the bucket from a member's
// chunk of keys.
func TestADamagedReaderOfTheDigestTierRepairsItself(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3, Snapshots: 16})
	listPictures(t, c, 0, 10)
	keeping(t, ctx, c.Members...)
	reader, err := c.AddDigestReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	awaitSame(t, ctx, c, reader)
	spoil(t, reader, picture(3)[1])
	r, err := reader.RepairStore(ctx)
	if err != nil || len(r.Buckets) != 1 || !r.Buckets[0].Repaired {
		t.Fatalf("repairing: %+v, %v", r, err)
	}
	awaitSame(t, ctx, c, reader)
	awaitMatches(t, ctx, reader, picture(3)[1], 1)
	if err := reader.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if name := holdsValue(t, reader.Dir, 10); name != "" {
		t.Errorf("%s holds a value", name)
	}
}

// Who verifies everything from the founding on and follows a reader that began with a
// snapshot gets the old leaves from the members, and goes on with that reader alone;
// where no member can be reached it says what is missing, and answers nothing.
func TestFullVerificationBehindAReaderThatBeganWithASnapshot(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3, Snapshots: 16})
	for i := range byte(16) {
		list(t, c, sha(i))
	}
	keeping(t, ctx, c.Members...)
	first, err := c.Enrol(ctx, "tango", true)
	if err == nil {
		err = c.Start(ctx, first)
	}
	if err != nil {
		t.Fatal(err)
	}
	awaitReady(t, ctx, first)
	if first.LogFirst() == 0 {
		t.Fatal("the first reader has all leaves: the test shows nothing")
	}
	full := func(cfg *node.Config) { cfg.VerifyFull = true }
	cut := behindIn(t, ctx, c, "uniform", first, spec.TierFull, full)
	err = trial.Await(ctx, func() (bool, error) {
		st, err := cut.Status(ctx)
		return st.Sync != nil && strings.Contains(st.Sync.LastError, "kept from size"), err
	})
	if err != nil || cut.LogSize() != 0 {
		t.Fatalf("without a member: %d leaves, %v", cut.LogSize(), err)
	}

	second, err := c.Enrol(ctx, "victor", false)
	if err != nil {
		t.Fatal(err)
	}
	second.Configure(func(cfg *node.Config) {
		full(cfg)
		cfg.Upstreams = []string{first.Addresses()[0] + "/p2p/" + string(first.PeerOf(first.ID))}
	})
	if err := c.Start(ctx, second); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, ctx, second)
	if second.LogFirst() != 0 {
		t.Error("it began with a snapshot")
	}
	awaitMatches(t, ctx, second, sha(3), 1)
	awaitSame(t, ctx, c, second)
	alone := func() (bool, error) {
		st, err := second.Status(ctx)
		return st.Sync != nil && len(st.Sync.Upstreams) == 1 && st.Sync.Upstreams[0].Organisation == "tango", err
	}
	if err := trial.Await(ctx, alone); err != nil {
		t.Fatal("it stays with members")
	}
	list(t, c, sha(100))
	awaitMatches(t, ctx, second, sha(100), 1)
}

// A reader that holds the whole log serves it: who verifies everything and knows that
// reader alone gets every leaf from it.
func TestFullVerificationBehindAReaderThatVerifiedEverything(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3, Snapshots: 16})
	for i := range byte(12) {
		list(t, c, sha(i))
	}
	keeping(t, ctx, c.Members...)
	first, err := c.Enrol(ctx, "tango", true)
	if err != nil {
		t.Fatal(err)
	}
	full := func(cfg *node.Config) { cfg.VerifyFull = true }
	first.Configure(full)
	if err := c.Start(ctx, first); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, ctx, first)
	if first.LogFirst() != 0 {
		t.Fatal("the first reader began with a snapshot: the test shows nothing")
	}
	second := behindIn(t, ctx, c, "uniform", first, spec.TierFull, full)
	awaitReady(t, ctx, second)
	if second.LogFirst() != 0 {
		t.Error("it began with a snapshot")
	}
	for i := range byte(12) {
		awaitMatches(t, ctx, second, sha(i), 1)
	}
	list(t, c, sha(100))
	awaitMatches(t, ctx, second, sha(100), 1)
	if st, err := second.Status(ctx); err != nil || slices.ContainsFunc(st.Sync.Upstreams, func(u api.Upstream) bool { return u.Organisation != "tango" }) {
		t.Errorf("it follows %+v, %v", st.Sync, err)
	}
}
