// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// A record that was altered on one member's disk is named by its bucket, taken from
// another member in three questions, and found again by lookups.
func TestADamagedMemberRepairsItselfFromAnother(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 4, Snapshots: 16})
	for i := range byte(8) {
		approve(t, c.Members[2], list(t, c, sha(i)))
	}
	delta := c.Members[3]
	awaitMatches(t, ctx, delta, sha(7), 1)
	keeping(t, ctx, c.Members...)
	size := c.Members[0].LogSize()
	for _, p := range c.Members {
		if err := trial.Await(ctx, func() (bool, error) { return p.Final().Size >= size, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := delta.RepairStore(ctx); err != nil || len(r.Buckets) > 0 || len(r.Peers) != 3 || r.Peers[0].Size == 0 || r.Peers[0].Answers > 0 {
		t.Fatalf("a sound store: %+v, %v", r, err)
	}
	if err := delta.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	alter(t, delta, sha(1), sha(1).Value, 7)
	if err := c.Start(ctx, delta); err != nil {
		t.Fatal(err)
	}
	err := trial.Await(ctx, func() (bool, error) {
		st, err := delta.Status(ctx)
		return st.Damage != "" && delta.LogSize() >= size, err
	})
	if err != nil {
		t.Fatal("the damage is not found")
	}
	r, err := delta.RepairStore(ctx)
	if err != nil || len(r.Buckets) != 1 || !r.Buckets[0].Repaired || r.Buckets[0].From == "" {
		t.Fatalf("repairing: %+v, %v", r, err)
	}
	if got := fmt.Sprintf("bucket %d of %d of the live signals", r.Buckets[0].Bucket, r.Buckets[0].Of); got != bucketName(sha(1)) {
		t.Fatalf("%s was repaired, not %s", got, bucketName(sha(1)))
	}
	if at := slices.IndexFunc(r.Peers, func(p api.ComparedPeer) bool { return p.Organisation == r.Buckets[0].From }); at < 0 || r.Peers[at].Answers != 3 {
		t.Fatalf("not three questions led to the bucket: %+v", r)
	}
	if v, err := delta.VerifyStore(ctx); err != nil || len(v.Bad) > 0 {
		t.Fatalf("afterwards: %+v, %v", v, err)
	}
	for i := range byte(8) {
		awaitMatches(t, ctx, delta, sha(i), 1)
	}
}

// ruleBucketName is how the bucket of a record of the rules is named.
func ruleBucketName(key []byte) string {
	p := spec.RulePlace(key)
	return fmt.Sprintf("bucket %d of 65536 of the rules", binary.BigEndian.Uint16(p[:]))
}

// A record of the rules with a flipped bit and one that is gone, on one running
// member's disk, are named by their buckets, keep it from cosigning and answering,
// and are taken from another member, after which it cosigns on, as it does after its next start.
func TestDamagedRecordsOfTheRulesAreRepairedFromAnother(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 4, Snapshots: 16})
	var keys [][]byte // of entries in two buckets
	for i := range byte(8) {
		id := list(t, c, sha(i))
		approve(t, c.Members[2], id)
		if k := spec.EntryKey(spec.EntryID(id, 0)); len(keys) == 0 || len(keys) == 1 && ruleBucketName(k) != ruleBucketName(keys[0]) {
			keys = append(keys, k)
		}
	}
	delta := c.Members[3]
	awaitMatches(t, ctx, delta, sha(7), 1)
	keeping(t, ctx, c.Members...)
	size := c.Members[0].LogSize()
	for _, p := range c.Members {
		if err := trial.Await(ctx, func() (bool, error) { return p.Final().Size >= size, nil }); err != nil {
			t.Fatal(err)
		}
	}
	flipRecord(t, delta, keys[0])
	if err := delta.Pebble().Delete(append([]byte{1}, keys[1]...), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	want := []string{ruleBucketName(keys[0]), ruleBucketName(keys[1])}
	slices.Sort(want)
	v, err := delta.VerifyStore(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, b := range v.Bad {
		named = append(named, fmt.Sprintf("bucket %d of %d of the %s", b.Bucket, b.Of, b.Tree))
	}
	if slices.Sort(named); !slices.Equal(named, want) {
		t.Fatalf("%q are damaged, not %q", named, want)
	}
	st, err := delta.Status(ctx)
	if err != nil || !strings.Contains(st.Damage, " of the rules: ") || !strings.Contains(st.NotCosigning, " of the rules: ") || delta.MayCosign() == nil {
		t.Fatalf("the status says %q and %q, %v", st.Damage, st.NotCosigning, err)
	}
	if _, err := delta.Match(ctx, []spec.Signal{sha(2)}); spec.CodeOf(err) != spec.CodeNotReady {
		t.Fatalf("a damaged node answers a lookup: %v", err)
	}
	r, err := delta.RepairStore(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var repaired []string
	for _, b := range r.Buckets {
		if !b.Repaired || b.From == "" {
			t.Errorf("%+v, asked were %+v", b, r.Peers)
		}
		repaired = append(repaired, fmt.Sprintf("bucket %d of %d of the %s", b.Bucket, b.Of, b.Tree))
	}
	if slices.Sort(repaired); !slices.Equal(repaired, want) {
		t.Fatalf("%q were repaired, not %q, by %+v", repaired, want, r.Peers)
	}
	if v, err := delta.VerifyStore(ctx); err != nil || len(v.Bad) > 0 {
		t.Fatalf("afterwards: %+v, %v", v, err)
	}
	awaitMatches(t, ctx, delta, sha(2), 1)
	if err := trial.Await(ctx, func() (bool, error) { return delta.MayCosign() == nil, nil }); err != nil {
		t.Fatalf("it does not cosign again at once: %v", delta.MayCosign())
	}
	if err := delta.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(ctx, delta); err != nil {
		t.Fatalf("a repaired store does not open: %v", err)
	}
	id := list(t, c, sha(9))
	approve(t, c.Members[2], id)
	awaitMatches(t, ctx, delta, sha(9), 1)
	if err := trial.Await(ctx, func() (bool, error) { return delta.MayCosign() == nil, nil }); err != nil {
		t.Fatalf("the repaired member does not cosign: %v", delta.MayCosign())
	}
}

// flipRecord flips one bit in a record of the rules of a running node.
func flipRecord(t *testing.T, p *trial.Participant, key []byte) {
	t.Helper()
	key = append([]byte{1}, key...)
	v, closer, err := p.Pebble().Get(key)
	if err != nil {
		t.Fatal(err)
	}
	value := slices.Clone(v)
	value[len(value)/2] ^= 1
	if err := closer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Pebble().Set(key, value, pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

// What no member can give is reported, and keeps the node from cosigning although
// nobody had it verified before.
func TestDamageThatNobodyRepairsKeepsAMemberFromCosigning(t *testing.T) {
	ctx, c := found(t, 3)
	id := list(t, c, sha(1))
	charlie := c.Members[2]
	awaitMatches(t, ctx, charlie, sha(1), 1)
	key := spec.EntryKey(spec.EntryID(id, 0))
	flipRecord(t, charlie, key)
	if err := trial.Await(ctx, func() (bool, error) { return charlie.MayCosign() == nil, nil }); err != nil {
		t.Fatalf("it does not cosign before: %v", charlie.MayCosign())
	}
	r, err := charlie.RepairStore(ctx)
	if r != nil && slices.ContainsFunc(r.Peers, func(p api.ComparedPeer) bool { return p.Says != "its log has not come to a snapshot size yet" }) {
		t.Errorf("peers without a snapshot: %+v", r.Peers)
	}
	if spec.CodeOf(err) != spec.CodeUnavailable || !slices.ContainsFunc(r.Buckets, func(b api.RepairedBucket) bool { return !b.Repaired && b.Tree == "rules" }) {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := charlie.MayCosign(); err == nil || !strings.Contains(err.Error(), ruleBucketName(key)) {
		t.Fatalf("it cosigns on: %v", err)
	}
}
