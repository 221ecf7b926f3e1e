// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// flipStored flips one bit of a record of the rules on a node that does not run.
func flipStored(t *testing.T, p *trial.Participant, key []byte) {
	t.Helper()
	db, err := pebble.Open(filepath.Join(p.Dir, "fsm", "db-1"), &pebble.Options{FormatMajorVersion: pebble.FormatColumnarBlocks, Logger: quietPebble{}})
	if err != nil {
		t.Fatal(err)
	}
	key = append([]byte{1}, key...)
	v, closer, err := db.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	value := bytes.Clone(v)
	value[len(value)/2] ^= 1
	if err := errors.Join(closer.Close(), db.Set(key, value, pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// Below the first snapshot size nobody has anything to repair a store with: that of a
// member, who sequences, and that of a reader are made anew from their own logs. An interruption just
// before the exchange is ended by the next start.
func TestAStoreIsMadeAnewFromItsOwnLog(t *testing.T) {
	ctx, c := found(t, 3)
	reader, err := c.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	id := list(t, c, sha(1))
	list(t, c, sha(2))
	nodes := []*trial.Participant{c.Members[2], reader}
	for _, p := range nodes {
		awaitMatches(t, ctx, p, sha(2), 1)
		if err := trial.Await(ctx, func() (bool, error) { return p.Final().Size >= p.LogSize(), nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range nodes {
		if err := p.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		flipStored(t, p, spec.EntryKey(spec.EntryID(id, 0)))
		if err := c.Start(ctx, p); spec.CodeOf(err) != spec.CodeCorrupt {
			t.Fatalf("%s starts: %v", p.ID, err)
		}
		p.Node = nil
		r, err := node.RepairFiles(ctx, node.Config{Dir: p.Dir})
		if err != nil {
			t.Fatalf("%s: %v", p.ID, err)
		}
		if r.Rebuilt == nil || r.Rebuilt.Final == 0 || len(r.Rebuilt.Lost) == 0 || slices.ContainsFunc(r.Buckets, func(b api.RepairedBucket) bool { return !b.Repaired }) {
			t.Fatalf("%s: %+v", p.ID, r)
		}
		if _, err := os.Stat(r.Rebuilt.Aside); err != nil {
			t.Errorf("%s: the damaged store was not put aside: %v", p.ID, err)
		}
		if err := os.Rename(filepath.Join(p.Dir, "fsm"), filepath.Join(p.Dir, "rebuilt")); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(ctx, p); err != nil {
			t.Fatalf("%s does not start: %v", p.ID, err)
		}
		if err := p.Purge(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Dir(r.Rebuilt.Aside)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: after a purge the damaged store is still there: %v", p.ID, err)
		}
	}
	list(t, c, sha(3))
	for _, p := range nodes {
		awaitMatches(t, ctx, p, sha(3), 1)
		awaitMatches(t, ctx, p, sha(1), 1)
	}
	if err := trial.Await(ctx, func() (bool, error) { return nodes[0].MayCosign() == nil, nil }); err != nil {
		t.Fatalf("it does not cosign: %v", nodes[0].MayCosign())
	}
}

// A member that does not start for damaged records of the rules, its own organisation's
// among them, and for a damaged live signal takes all of it from others while it does not run, starts, and
// cosigns.
func TestAMemberThatDoesNotStartIsRepaired(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 4, Snapshots: 16})
	var entry []byte
	for i := range byte(8) {
		id := list(t, c, sha(i))
		approve(t, c.Members[2], id)
		if i == 0 { // which every snapshot has
			entry = spec.EntryKey(spec.EntryID(id, 0))
		}
	}
	delta := c.Members[3]
	keeping(t, ctx, c.Members...)
	size := c.Members[0].LogSize()
	for _, p := range c.Members {
		if err := trial.Await(ctx, func() (bool, error) { return p.Final().Size >= size, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := delta.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	flipStored(t, delta, entry)
	flipStored(t, delta, spec.OrgKey("delta"))
	alter(t, delta, sha(1), []byte("isil"), 1)
	if err := c.Start(ctx, delta); spec.CodeOf(err) != spec.CodeCorrupt {
		t.Fatalf("it starts: %v", err)
	}
	delta.Node = nil
	cfg := node.Config{Dir: delta.Dir, SnapshotEvery: 16}
	r, err := node.RepairFiles(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	trees := map[string]int{}
	for _, b := range r.Buckets {
		if !b.Repaired || b.From == "" {
			t.Errorf("%+v, asked were %+v", b, r.Peers)
		}
		trees[b.Tree]++
	}
	if trees["rules"] != 2 || trees["live signals"] != 1 {
		t.Errorf("repaired were %v", trees)
	}
	if r, err := node.RepairFiles(ctx, cfg); err != nil || len(r.Buckets) > 0 || !slices.ContainsFunc(r.Peers, func(p api.ComparedPeer) bool { return p.Size > 0 }) {
		t.Errorf("a store that is sound: %+v, %v", r, err)
	}
	if err := c.Start(ctx, delta); err != nil {
		t.Fatalf("a repaired member does not start: %v", err)
	}
	approve(t, c.Members[2], list(t, c, sha(9)))
	awaitMatches(t, ctx, delta, sha(9), 1)
	awaitMatches(t, ctx, delta, sha(1), 1)
	if err := trial.Await(ctx, func() (bool, error) { return delta.MayCosign() == nil, nil }); err != nil {
		t.Fatalf("it does not cosign: %v", delta.MayCosign())
	}
}
