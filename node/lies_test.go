// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tocsin-db/tocsin/node/audit"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// evidenceOf reads what a node keeps of forks and equivocations, as whoever is handed
// it would: with the genesis document alone.
func evidenceOf(t *testing.T, p *trial.Participant) (accused []string, sizes []uint64) {
	t.Helper()
	g := genesisOf(t, p)
	chain, err := tlog.NewChain(g)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(p.Dir, "evidence", "*.cbor"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		e, err := cosign.Judge(b, g, chain)
		if err != nil {
			t.Fatalf("%s keeps what proves nothing: %v", p.ID, err)
		}
		accused, sizes = append(accused, e.Accused...), append(sizes, e.Size)
	}
	return accused, sizes
}

// A leader that cosigns a second history for some of the others makes nothing of it
// final, is named by evidence that every member keeps and anyone can verify, and the
// log goes on.
func TestALeaderThatTellsTwoHistoriesIsNamed(t *testing.T) {
	ctx, c := found(t, 4)
	list(t, c, sha(1))
	leader, others := leaderOf(t, ctx, c)
	size := others[0].LogSize()
	for _, m := range others {
		if err := trial.Await(ctx, func() (bool, error) { return m.Final().Size >= size, nil }); err != nil {
			t.Fatal(err)
		}
	}
	id, err := identity.Load(leader.Dir)
	if err != nil {
		t.Fatal(err)
	}
	final := others[0].Final()
	lie := tlog.Checkpoint{Origin: originOf(t, leader), Size: final.Size, Root: final.Root}
	lie.Root[7] ^= 1
	sig := tlog.Cosign(lie, leader.ID, id.Cosign, uint64(final.Time.Unix()))
	for _, m := range others[:2] {
		if err := leader.Claim(ctx, m.ID, lie, sig); err != nil {
			t.Fatalf("%s does not listen: %v", m.ID, err)
		}
	}
	for _, m := range others { // the third was told by the others
		err := trial.Await(ctx, func() (bool, error) {
			accused, sizes := evidenceOf(t, m)
			return slices.Contains(accused, leader.ID) && slices.Contains(sizes, lie.Size), nil
		})
		if err != nil {
			t.Fatalf("%s keeps no evidence against %s", m.ID, leader.ID)
		}
	}
	list(t, c, sha(2))
	size = others[0].LogSize()
	for _, m := range others {
		if err := trial.Await(ctx, func() (bool, error) { return m.Final().Size >= size, nil }); err != nil {
			t.Fatalf("%s: nothing is final any more: %v", m.ID, err)
		}
		if accused, _ := evidenceOf(t, m); slices.ContainsFunc(accused, func(org string) bool { return org != leader.ID }) {
			t.Errorf("%s accuses %v", m.ID, accused)
		}
		if _, err := audit.Verify(ctx, bytes.NewReader(dumpOf(t, m)), audit.Options{Genesis: genesisOf(t, m)}); err != nil {
			t.Errorf("%s: the final log does not verify: %v", m.ID, err)
		}
	}
}

func genesisOf(t *testing.T, p *trial.Participant) *spec.Genesis {
	t.Helper()
	g, err := identity.LoadGenesis(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return g.Genesis
}

// dumpOf is the public dump as an auditor fetches it from a node.
func dumpOf(t *testing.T, p *trial.Participant) []byte {
	t.Helper()
	var out bytes.Buffer
	get := func(_ context.Context, path string) ([]byte, error) {
		w := httptest.NewRecorder()
		p.LogHandler().ServeHTTP(w, httptest.NewRequest("GET", "/"+path, nil))
		if w.Code != 200 {
			return nil, errors.New(w.Body.String())
		}
		return io.ReadAll(w.Body)
	}
	if err := audit.Export(t.Context(), genesisOf(t, p), get, &out, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
