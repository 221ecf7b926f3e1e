// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/spec"
)

// What an operation opens whose outcome nobody learnt lies in the outbox. A purge takes
// it from there once the operation stands in the log or never will; whoever repeats it
// gets the same case, or another when there was none.
func TestAPurgeReachesTheOutbox(t *testing.T) {
	ctx, c := found(t, 3)
	alpha, bravo, charlie := c.Members[0], c.Members[1], c.Members[2]
	list(t, c, sha(1))
	keys := []string{"applied", "outlived", "open"}
	signals, sent := make([]spec.Signal, len(keys)), make([]spec.Hash, len(keys))
	leave := func(i int) spec.Submission {
		t.Helper()
		value := make([]byte, 32)
		rand.Read(value)
		signals[i] = spec.Signal{Type: "sha256", Value: value}
		sub, err := alpha.LeaveSent(keys[i], proposalWith(signals[i], ""))
		if err != nil {
			t.Fatal(err)
		}
		if len(holding(t, filepath.Join(alpha.Dir, "outbox"), value)) == 0 {
			t.Fatalf("%s: the value is not in the outbox: the test shows nothing", keys[i])
		}
		sent[i] = spec.LeafHash(sub.Envelope)
		return sub
	}
	if out, err := alpha.Carry(ctx, leave(0)); err != nil || out.Code != "" {
		t.Fatalf("%+v, %v", out, err)
	}
	leave(1)
	if _, err := c.AddReader(ctx, "tango"); err != nil { // an epoch begins
		t.Fatal(err)
	}
	leave(2)
	approve(t, bravo, sent[0])
	awaitMatches(t, ctx, charlie, signals[0], 1)
	dispute, err := charlie.Dispute(ctx, api.Claim{Entry: spec.EntryID(sent[0], 0), Reason: "lawful-content"})
	if err != nil {
		t.Fatal(err)
	}
	approve(t, bravo, dispute)
	awaitMatches(t, ctx, alpha, signals[0], 0)
	if err := alpha.Purge(ctx); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, false, true} {
		if names := holding(t, alpha.Dir, signals[i].Value); (len(names) > 0) != want {
			t.Errorf("%s: after the purge the value is in %v", keys[i], names)
		}
	}
	for i, same := range []bool{true, false, true} {
		id, err := alpha.Propose(ctx, proposalWith(signals[i], keys[i]))
		if err != nil || (id == sent[i]) != same {
			t.Errorf("%s: repeated after the purge it is the same: %t, %v", keys[i], id == sent[i], err)
			continue
		}
		if _, err := alpha.Case(ctx, id, false); err != nil {
			t.Errorf("%s: repeated after the purge there is no case: %v", keys[i], err)
		}
	}
}

func proposalWith(s spec.Signal, key string) api.Proposal {
	return api.Proposal{Items: []api.ProposalItem{{Labels: []string{"x"}, Signals: []spec.Signal{s}}}, Basis: "test", Key: key}
}

// What a recovery put aside, what one that was given up had begun, and what a crash left
// half written hold values that the log may have erased since: after a start and a purge
// they are gone, once nothing takes the recovery back.
func TestAPurgeReachesWhatARecoveryLeft(t *testing.T) {
	l := lose(t)
	alpha, file := l.by["alpha"], l.ready()
	value := sha(9).Value // of the proposal that is not final
	for _, org := range []string{"alpha", "delta", "echo"} {
		if _, err := node.ApplyRecovery(l.ctx, node.RecoverConfig{Dir: l.by[org].Dir, Recovery: file}); err != nil {
			t.Fatalf("%s: %v", org, err)
		}
	}
	if len(holding(t, filepath.Join(alpha.Dir, "discarded"), value)) == 0 {
		t.Fatal("the value is in nothing that was put aside: the test shows nothing")
	}
	for _, name := range []string{"recovering/db-1/000001.sst", ".seed-123", "outbox/.abc-123"} {
		path := filepath.Join(alpha.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, value, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Start(l.ctx, alpha); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(alpha.Dir, "discarded")); err != nil {
		t.Errorf("before any purge: %v", err)
	}
	for _, org := range []string{"delta", "echo"} {
		if err := l.Start(l.ctx, l.by[org]); err != nil {
			t.Fatal(err)
		}
	}
	size := alpha.LogSize()
	l.await("the log is final from the recovery on", func() bool { return alpha.Final().Size >= size })
	if err := alpha.Purge(l.ctx); err != nil {
		t.Fatal(err)
	}
	if names := holding(t, alpha.Dir, value); len(names) > 0 {
		t.Errorf("after the purge the value is in %v", names)
	}
	l.list(2, "alpha", "delta", "echo", "foxtrot")
}
