// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// witnessing is three members that sequence, and delta, who joined later and does not.
func witnessing(t *testing.T) (context.Context, *trial.Consortium, *trial.Participant) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	c, err := trial.Found(ctx, trial.Options{Dir: t.TempDir(), Members: 3, Sequence: []string{"alpha", "bravo", "charlie"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop(context.Background()) })
	delta, err := c.AddMember(ctx, "delta")
	if err != nil {
		t.Fatal(err)
	}
	return ctx, c, delta
}

// accuses awaits evidence against an organisation at a size, in the folder of a node
// and among the files that it serves to auditors, each of whom has the genesis document
// alone.
func accuses(t *testing.T, ctx context.Context, p *trial.Participant, org string, size uint64) {
	t.Helper()
	err := trial.Await(ctx, func() (bool, error) {
		accused, sizes := evidenceOf(t, p)
		return slices.Contains(accused, org) && slices.Contains(sizes, size), nil
	})
	if err != nil {
		t.Fatalf("%s keeps no evidence against %s at %d", p.ID, org, size)
	}
	g := genesisOf(t, p)
	chain, err := tlog.NewChain(g)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range strings.Fields(string(served(t, p, cosign.EvidencePath("")))) {
		e, err := cosign.Judge(served(t, p, cosign.EvidencePath(id)), g, chain)
		if err == nil && e.Size == size && slices.Equal(e.Accused, []string{org}) {
			return
		}
	}
	t.Errorf("%s does not serve its evidence against %s", p.ID, org)
}

func served(t *testing.T, p *trial.Participant, path string) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	p.LogHandler().ServeHTTP(w, httptest.NewRequest("GET", "/"+path, nil))
	if w.Code != 200 {
		t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// A member that only witnesses, and tells one of the others of another history, is named
// by evidence that every member comes to keep; so is one that tells of two histories
// which nobody else has; nobody else is, and the log goes on.
func TestAWitnessThatTellsTwoHistoriesIsNamed(t *testing.T) {
	ctx, c, delta := witnessing(t)
	list(t, c, sha(1))
	size := c.Members[0].LogSize()
	for _, m := range c.Members {
		if err := trial.Await(ctx, func() (bool, error) { return m.Final().Size >= size, nil }); err != nil {
			t.Fatal(err)
		}
	}
	id, err := identity.Load(delta.Dir)
	if err != nil {
		t.Fatal(err)
	}
	bravo := c.Members[1]
	say := func(size uint64, root spec.Hash) spec.Code {
		cp := tlog.Checkpoint{Origin: originOf(t, delta), Size: size, Root: root}
		return spec.CodeOf(bravo.HandWitness(ctx, bravo.PeerOf("delta"), cp, tlog.Cosign(cp, "delta", id.Cosign, 1)))
	}
	if got := say(size, spec.Hash{1}); got != spec.CodeForked {
		t.Errorf("another history is answered %q", got)
	}
	for _, m := range c.Members[:3] {
		accuses(t, ctx, m, "delta", size)
	}
	for root := range byte(2) { // of a size that the log never comes to
		if got := say(size+1_000_000, spec.Hash{2 + root}); got != "" {
			t.Errorf("a size ahead is answered %q", got)
		}
	}
	for _, m := range c.Members[:3] {
		accuses(t, ctx, m, "delta", size+1_000_000)
	}
	list(t, c, sha(2))
	next := c.Members[0].LogSize()
	for _, m := range c.Members {
		if err := trial.Await(ctx, func() (bool, error) { return m.Final().Size >= next, nil }); err != nil {
			t.Fatalf("%s: nothing is final any more: %v", m.ID, err)
		}
		if accused, _ := evidenceOf(t, m); slices.ContainsFunc(accused, func(org string) bool { return org != "delta" }) {
			t.Errorf("%s accuses %v", m.ID, accused)
		}
	}
}

// One that is told ahead of the log is found out once the log gets there.
func TestAWitnessThatSpeaksAheadIsFoundOut(t *testing.T) {
	ctx, c, delta := witnessing(t)
	id, err := identity.Load(delta.Dir)
	if err != nil {
		t.Fatal(err)
	}
	alpha := c.Members[0]
	ahead := tlog.Checkpoint{Origin: originOf(t, alpha), Size: alpha.LogSize() + 2, Root: spec.Hash{9}}
	if err := alpha.HandWitness(ctx, alpha.PeerOf("delta"), ahead, tlog.Cosign(ahead, "delta", id.Cosign, 1)); err != nil && spec.CodeOf(err) != spec.CodeForked {
		t.Fatal(err)
	}
	list(t, c, sha(1))
	for _, m := range c.Members[:3] {
		accuses(t, ctx, m, "delta", ahead.Size)
	}
}
