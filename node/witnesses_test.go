// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/cosign"
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
	b := servedNote(p)
	if _, err := panelOf(t, p).OpenFinal(b); err != nil {
		t.Fatalf("%s serves %q: %v", p.ID, b, err)
	}
	return signedBy(t, b, vkey)
}

// signedBy reports whether a checkpoint has the cosignature of a key, as a stock
// library sees it.
func signedBy(t *testing.T, checkpoint []byte, vkey string) bool {
	t.Helper()
	v, err := fnote.NewVerifierForCosignatureV1(vkey)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(checkpoint, note.VerifierList(v))
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
	restart(t, ctx, other, outside, func(cfg *node.Config) {
		cfg.Witness = node.Witness{Listen: address, Name: "witness.example/outside", Logs: []string{tlog.LogVerifierKey(g.Genesis.Origin())}}
	})
	key := outside.WitnessKey()
	restart(t, ctx, c, alpha, func(cfg *node.Config) { cfg.Witnesses = []string{key + " http://" + address + "/"} })
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

// A member that does not sequence cosigns what is final afterwards, once it came to
// the same root itself. Every member shows that to auditors, its status names it, and
// its mark outlasts it.
func TestCosigningAfterwards(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c, err := trial.Found(ctx, trial.Options{Dir: t.TempDir(), Members: 3, Sequence: []string{"alpha", "bravo", "charlie"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop(context.Background()) })
	delta, err := c.AddMember(ctx, "delta")
	if err != nil {
		t.Fatal(err)
	}
	key := cosignKeyOf(t, delta)
	witnessed := func(what string) {
		t.Helper()
		for _, p := range []*trial.Participant{delta, c.Members[0], c.Members[2]} {
			if err := trial.Await(ctx, func() (bool, error) { return p.Final().Size > 0 && cosignedBy(t, p, key), nil }); err != nil {
				t.Fatalf("%s: %s does not show the cosignature of delta", what, p.ID)
			}
		}
	}
	witnessed("at the start")
	list(t, c, sha(1))
	size := c.Members[0].LogSize()
	if err := trial.Await(ctx, func() (bool, error) { return delta.Final().Size >= size, nil }); err != nil {
		t.Fatal(err)
	}
	witnessed("after the log grew")
	name := tlog.CosignerName(originOf(t, c.Members[0]), "delta")
	err = trial.Await(ctx, func() (bool, error) {
		s, err := c.Members[0].Status(ctx)
		return slices.Equal(s.Witnesses, []string{name}) && len(s.Cosigners) >= 2 && !slices.Contains(s.Cosigners, "delta"), err
	})
	if err != nil {
		t.Fatal("the status does not name the member that witnessed")
	}
	restart(t, ctx, c, delta, nil)
	for _, p := range c.Members[:3] { // what they showed is in memory alone
		restart(t, ctx, c, p, nil)
	}
	witnessed("after all started again")

	if err := delta.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(delta.Dir, "cosigned")); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(ctx, delta); err != nil {
		t.Fatal(err)
	}
	if s, err := delta.Status(ctx); err != nil || !strings.Contains(s.NotCosigning, "missing") {
		t.Errorf("without its mark the member says %q, %v", s.NotCosigning, err)
	}
	handIn(t, ctx, c, delta)
}

// The key of a member that does not sequence is exchanged: it cosigns with the new one
// at once, with a mark of its own, whenever it is started again.
func TestTheKeyOfAWitnessIsExchanged(t *testing.T) {
	ctx, c, delta := witnessing(t)
	card := newKey(t, ctx, c, delta, spec.UseCosign)
	changeKey(t, ctx, c, c.Members[0], spec.KeyChange{Org: "delta", Use: spec.UseCosign, New: []spec.PublicKey{card.Key}, Proof: []spec.Proof{card.Proof}, Reason: "rotation"})
	vkey := tlog.CosignerVerifierKey(originOf(t, delta), spec.Seat{Org: "delta", Key: card.Key})
	for i := range 3 {
		if err := trial.Await(ctx, func() (bool, error) { return cosignedBy(t, c.Members[0], vkey), nil }); err != nil {
			s, serr := delta.Status(ctx)
			t.Fatalf("after %d starts nothing is cosigned with the new key: %q, %v", i, s.NotCosigning, serr)
		}
		store, err := os.ReadFile(cosign.StorePath(delta.Dir, card.Key))
		if err != nil || !bytes.Contains(store, card.Key[:]) {
			t.Fatalf("after %d starts the mark of the new key is not in its store: %v", i, err)
		}
		restart(t, ctx, c, delta, nil)
		list(t, c, sha(byte(10+i)))
	}
	if s, err := delta.Status(ctx); err != nil || s.NotCosigning != "" {
		t.Fatalf("the member does not cosign any more: %q, %v", s.NotCosigning, err)
	}
}

// handIn hands cosignatures in that are not to be taken.
func handIn(t *testing.T, ctx context.Context, c *trial.Consortium, delta *trial.Participant) {
	t.Helper()
	reader, err := c.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	alpha := c.Members[0]
	final := alpha.Final()
	cp := tlog.Checkpoint{Origin: originOf(t, alpha), Size: final.Size, Root: final.Root}
	sign := func(cp tlog.Checkpoint, by *trial.Participant, org string) tlog.Cosignature {
		id, err := identity.Load(by.Dir)
		if err != nil {
			t.Fatal(err)
		}
		return tlog.Cosign(cp, org, id.Cosign, 1)
	}
	lie := cp
	lie.Root[3] ^= 1
	far := cp
	far.Size = tlog.MaxSize + 1
	for what, x := range map[string]struct {
		from string
		cp   tlog.Checkpoint
		sig  tlog.Cosignature
		want spec.Code
	}{
		"a reader's":           {"tango", cp, sign(cp, reader, "tango"), spec.CodeDenied},
		"one by another key":   {"delta", cp, sign(cp, reader, "delta"), spec.CodeCheckpoint},
		"one on another text":  {"delta", cp, sign(lie, delta, "delta"), spec.CodeCheckpoint},
		"one of another log":   {"delta", lie, sign(lie, delta, "delta"), spec.CodeForked},
		"one of no size":       {"delta", far, sign(far, delta, "delta"), spec.CodeMalformed},
		"one that is in order": {"delta", cp, sign(cp, delta, "delta"), ""},
		"a sequencer's, twice": {"bravo", cp, sign(cp, c.Members[1], "bravo"), ""},
	} {
		if err := alpha.HandWitness(ctx, alpha.PeerOf(x.from), x.cp, x.sig); spec.CodeOf(err) != x.want {
			t.Errorf("%s is answered %v, want %q", what, err, x.want)
		}
	}
	if _, err := panelOf(t, alpha).OpenFinal(servedNote(alpha)); err != nil { // bravo stands there once
		t.Error(err)
	}
}

func originOf(t *testing.T, p *trial.Participant) string {
	t.Helper()
	g, err := identity.LoadGenesis(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return g.Genesis.Origin()
}

func cosignKeyOf(t *testing.T, p *trial.Participant) string {
	t.Helper()
	id, err := identity.Load(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return tlog.CosignerVerifierKey(originOf(t, p), spec.Seat{Org: id.Organisation.ID, Key: id.Organisation.CosignKey})
}

// restart stops a node, changes how it starts, and starts it.
func restart(t *testing.T, ctx context.Context, c *trial.Consortium, p *trial.Participant, change func(*node.Config)) {
	t.Helper()
	if err := p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		p.Configure(change)
	}
	if err := c.Start(ctx, p); err != nil {
		t.Fatal(err)
	}
}
