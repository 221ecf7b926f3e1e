// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/audit"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// holding lists the files under dir that hold the bytes, or their hex digits.
func holding(t *testing.T, dir string, what []byte) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if bytes.Contains(b, what) || bytes.Contains(b, []byte(hex.EncodeToString(what))) {
			names = append(names, path[len(dir):])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// After a retraction and a purge the value is in no file of any node, the raft log
// included; what is still listed is found, and the log goes on.
func TestAPurgedValueIsNowhere(t *testing.T) {
	ctx, c := found(t, 3)
	reader, err := c.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 32)
	rand.Read(value)
	s := spec.Signal{Type: "sha256", Value: value}
	list(t, c, s)
	list(t, c, sha(2))
	for _, p := range c.All() {
		awaitMatches(t, ctx, p, s, 1)
	}
	dispute, err := c.Members[2].Dispute(ctx, api.Claim{Entry: matches(t, reader, s)[0].Entry, Reason: "lawful-content"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Members[1].Vote(ctx, api.Ballot{Case: dispute, Choice: spec.Approve}); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.All() {
		awaitMatches(t, ctx, p, s, 0)
		if p != reader && len(holding(t, p.Dir, value)) == 0 { // a reader may hold it in memory alone
			t.Fatalf("%s: the value is in no file before the purge: the test shows nothing", p.ID)
		}
		if err := p.Purge(ctx); err != nil {
			t.Fatalf("%s: %v", p.ID, err)
		}
		if names := holding(t, p.Dir, value); len(names) > 0 {
			t.Errorf("%s: after the purge the value is in %v", p.ID, names)
		}
	}
	list(t, c, sha(3))
	for _, p := range c.All() {
		awaitMatches(t, ctx, p, sha(2), 1)
		awaitMatches(t, ctx, p, sha(3), 1)
		if r, err := audit.Verify(ctx, bytes.NewReader(dumpOf(t, p)), audit.Options{Genesis: genesisOf(t, p)}); err != nil || r.Decisions < 3 {
			t.Errorf("%s: after the purge the log does not verify: %+v, %v", p.ID, r, err)
		}
	}
	if err := c.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.All() {
		if names := holding(t, p.Dir, value); len(names) > 0 {
			t.Errorf("%s: once stopped the value is in %v", p.ID, names)
		}
	}
}

// A node purges by itself as often as it is told to, and only then: nobody asks.
func TestAnErasedValueIsPurgedOnSchedule(t *testing.T) {
	ctx, c := found(t, 3)
	restart := func(p *trial.Participant, every time.Duration) {
		t.Helper()
		if err := p.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		p.Configure(func(cfg *node.Config) { cfg.PurgeEvery = every })
		if err := c.Start(ctx, p); err != nil {
			t.Fatal(err)
		}
		ready := func() (bool, error) {
			_, err := p.Match(ctx, []spec.Signal{sha(1)})
			return err == nil, nil
		}
		if err := trial.Await(ctx, ready); err != nil {
			t.Fatal(err)
		}
	}
	bravo, charlie := c.Members[1], c.Members[2]
	restart(charlie, -1)
	restart(bravo, 100*time.Millisecond)
	value := make([]byte, 32)
	rand.Read(value)
	s := spec.Signal{Type: "sha256", Value: value}
	list(t, c, s)
	for _, p := range c.All() {
		awaitMatches(t, ctx, p, s, 1)
	}
	dispute, err := charlie.Dispute(ctx, api.Claim{Entry: matches(t, bravo, s)[0].Entry, Reason: "lawful-content"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bravo.Vote(ctx, api.Ballot{Case: dispute, Choice: spec.Approve}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*trial.Participant{bravo, charlie} {
		awaitMatches(t, ctx, p, s, 0)
	}
	err = trial.Await(ctx, func() (bool, error) { return len(holding(t, bravo.Dir, value)) == 0, nil })
	if err != nil {
		t.Fatalf("the value is still in %v", holding(t, bravo.Dir, value))
	}
	if len(holding(t, charlie.Dir, value)) == 0 {
		t.Error("a node that never purges does not hold the value: the test shows nothing")
	}
	size := bravo.LogSize()
	if err := trial.Await(ctx, func() (bool, error) { return bravo.Final().Size >= size, nil }); err != nil {
		t.Fatal("after the purge the log is not final")
	}
}
