// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"fmt"
	"testing"

	"github.com/tocsin-db/tocsin/node/trial"
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
	if r.Peers[0].Answers != 3 {
		t.Fatalf("%d questions led to the bucket", r.Peers[0].Answers)
	}
	if v, err := delta.VerifyStore(ctx); err != nil || len(v.Bad) > 0 {
		t.Fatalf("afterwards: %+v, %v", v, err)
	}
	for i := range byte(8) {
		awaitMatches(t, ctx, delta, sha(i), 1)
	}
}
