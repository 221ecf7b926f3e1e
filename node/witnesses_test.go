// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"net/http/httptest"
	"testing"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// servedNote is the checkpoint that a node serves to auditors.
func servedNote(p *trial.Participant) []byte {
	rec := httptest.NewRecorder()
	p.LogHandler().ServeHTTP(rec, httptest.NewRequest("GET", "/checkpoint", nil))
	return rec.Body.Bytes()
}

// cosignedBy reports whether the checkpoint that a node serves has the cosignature
// of a key, as a stock library sees it, and is final.
func cosignedBy(t *testing.T, p *trial.Participant, vkey string) bool {
	t.Helper()
	v, err := fnote.NewVerifierForCosignatureV1(vkey)
	if err != nil {
		t.Fatal(err)
	}
	b := servedNote(p)
	if _, err := panelOf(t, p).OpenFinal(b); err != nil {
		t.Fatalf("%s serves %q: %v", p.ID, b, err)
	}
	n, err := note.Open(b, note.VerifierList(v))
	return err == nil && len(n.Sigs) == 1
}

// A witness outside of the consortium, another consortium's node, cosigns what is
// final, and its cosignature stands in the checkpoint that is served.
func TestAnOutsideWitnessCosigns(t *testing.T) {
	ctx, c := found(t, 3)
	list(t, c, sha(1))
	alpha := c.Members[0]
	g, err := identity.LoadGenesis(alpha.Dir)
	if err != nil {
		t.Fatal(err)
	}
	_, other := found(t, 1)
	outside := other.Members[0]
	address, err := trial.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	restart := func(c *trial.Consortium, p *trial.Participant, change func(*node.Config)) {
		t.Helper()
		if err := p.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		p.Configure(change)
		if err := c.Start(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	restart(other, outside, func(cfg *node.Config) {
		cfg.Witness = node.Witness{Listen: address, Name: "witness.example/outside", Logs: []string{tlog.LogVerifierKey(g.Genesis.Origin())}}
	})
	key := outside.WitnessKey()
	restart(c, alpha, func(cfg *node.Config) { cfg.Witnesses = []string{key + " http://" + address + "/"} })
	await := func(what string) {
		t.Helper()
		if err := trial.Await(ctx, func() (bool, error) { return cosignedBy(t, alpha, key), nil }); err != nil {
			t.Fatalf("%s: the outside witness never cosigned", what)
		}
	}
	await("at the start")
	if cosignedBy(t, c.Members[1], key) {
		t.Error("a member shows a cosignature that it did not ask for")
	}
	list(t, c, sha(2))
	size := c.Members[1].LogSize()
	if err := trial.Await(ctx, func() (bool, error) { return alpha.Final().Size >= size, nil }); err != nil {
		t.Fatal(err)
	}
	await("after the log grew")
}

// A node that does not sequence cosigns what is final afterwards and shows it; its
// mark outlasts it. Members show what members hand in and verify it.
func TestCosigningAfterwards(t *testing.T) {
	ctx, c := found(t, 3)
	late, err := c.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.Load(late.Dir)
	if err != nil {
		t.Fatal(err)
	}
	g, err := identity.LoadGenesis(late.Dir)
	if err != nil {
		t.Fatal(err)
	}
	key := tlog.CosignerVerifierKey(g.Genesis.Origin(), spec.Seat{Org: id.Organisation.ID, Key: id.Organisation.CosignKey})
	for _, first := range []bool{true, false} {
		if err := late.CosignAfterwards(first); err != nil {
			t.Fatal(err)
		}
		if err := trial.Await(ctx, func() (bool, error) { return cosignedBy(t, late, key), nil }); err != nil {
			t.Fatal("the cosignature is not shown")
		}
		if err := late.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(ctx, late); err != nil {
			t.Fatal(err)
		}
	}

	alpha, bravo := c.Members[0], c.Members[1]
	final := alpha.Final()
	cp := tlog.Checkpoint{Origin: g.Genesis.Origin(), Size: final.Size, Root: final.Root}
	sign := func(p *trial.Participant, org string) tlog.Cosignature {
		id, err := identity.Load(p.Dir)
		if err != nil {
			t.Fatal(err)
		}
		return tlog.Cosign(cp, org, id.Cosign, 1)
	}
	if err := alpha.HandWitness(ctx, alpha.PeerOf("tango"), cp, sign(late, "tango")); spec.CodeOf(err) != spec.CodeDenied {
		t.Errorf("a reader's cosignature is taken: %v", err)
	}
	if err := alpha.HandWitness(ctx, alpha.PeerOf("bravo"), cp, sign(late, "bravo")); spec.CodeOf(err) != spec.CodeCheckpoint {
		t.Errorf("a cosignature by another key is taken: %v", err)
	}
	if err := alpha.HandWitness(ctx, alpha.PeerOf("bravo"), cp, sign(bravo, "bravo")); err != nil {
		t.Errorf("a member's cosignature is not taken: %v", err)
	}
	if _, err := panelOf(t, alpha).OpenFinal(servedNote(alpha)); err != nil { // bravo stands there once
		t.Error(err)
	}
}
