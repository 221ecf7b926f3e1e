// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/audit"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog/receipt"
)

// A consortium of three enrols a fourth member, which becomes a sequencer; a founder
// is expelled; the log goes on. A reader, a receipt's holder and an auditor who know
// nothing but the genesis document follow all of it.
func TestPanelsFollowDecidedCases(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("TRIAL_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	c, err := trial.Found(ctx, trial.Options{Dir: t.TempDir(), Members: 3, Logger: log, Fatal: func(who string, err error) { t.Errorf("the node of %s failed: %v", who, err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop(context.Background()) })
	must := func(id spec.Hash, err error) spec.Hash {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	vote := func(_ api.Cast, err error) {
		t.Helper()
		must(spec.Hash{}, err)
	}
	settle := func(what string, ok func() bool) {
		t.Helper()
		if err := c.Settle(ctx, func() (bool, error) { return ok(), nil }); err != nil {
			for _, p := range c.All() {
				t.Logf("%s: log %d, final %d, panel %v, may cosign: %v", p.ID, p.LogSize(), p.Final().Size, p.Panel(), p.MayCosign())
			}
			t.Fatalf("%s: %v", what, err)
		}
	}
	reader, err := c.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	alpha, bravo, charlie := c.Members[0], c.Members[1], c.Members[2]
	delta, err := c.AddMember(ctx, "delta")
	if err != nil {
		t.Fatal(err)
	}
	settle("the fourth gets a seat", func() bool {
		return slices.Equal(bravo.Panel(), []string{"alpha", "bravo", "charlie", "delta"}) && delta.Final().Size == bravo.Final().Size && delta.MayCosign() == nil
	})
	expel := must(alpha.Submit(ctx, "", func(text []byte) spec.Body {
		return &spec.Membership{Action: spec.ActionExpel, Org: "charlie", Text: text}
	}))
	vote(bravo.Vote(ctx, api.Ballot{Case: expel, Choice: spec.Approve}))
	settle("the vote is known", func() bool { return delta.LogSize() == bravo.LogSize() })
	vote(delta.Vote(ctx, api.Ballot{Case: expel, Choice: spec.Approve}))
	settle("the founder loses its seat", func() bool { return slices.Equal(delta.Panel(), []string{"alpha", "bravo", "delta"}) })
	listed := must(delta.Propose(ctx, api.Proposal{
		Items: []api.ProposalItem{{Labels: []string{"x"}, Signals: []spec.Signal{sha(7)}}}, Basis: "test",
	}))
	vote(alpha.Vote(ctx, api.Ballot{Case: listed, Choice: spec.Approve}))
	size := alpha.LogSize()
	settle("all of it becomes final", func() bool {
		return alpha.Final().Size >= size && delta.Final().Size >= size && reader.LogSize() >= size
	})
	settle("raft goes on without the founder", func() bool { return len(delta.Servers()) == 3 })
	if charlie.Final().Size >= size {
		t.Error("the expelled founder was served on")
	}
	a, err := reader.Match(ctx, []spec.Signal{sha(7)})
	if err != nil || len(a.Matches) != 1 {
		t.Errorf("the reader finds %v, %v", a.Matches, err)
	}
	g, err := identity.LoadGenesis(alpha.Dir)
	if err != nil {
		t.Fatal(err)
	}
	checkOffline(t, ctx, g.Genesis, reader, spec.EntryID(listed, 0))
}

// firstCosigners is a signed note with the first n of its cosignatures, which come
// after the log's own signature.
func firstCosigners(note []byte, n int) []byte {
	text, signatures, _ := bytes.Cut(note, []byte("\n\n"))
	lines := bytes.SplitAfter(signatures, []byte("\n"))
	return slices.Concat(text, []byte("\n\n"), bytes.Join(lines[:1+n], nil))
}

// checkOffline verifies a receipt and the whole history from the genesis document
// alone.
func checkOffline(t *testing.T, ctx context.Context, g *spec.Genesis, from *trial.Participant, entry spec.Hash) {
	t.Helper()
	s := sha(7)
	b, err := from.Receipt(ctx, entry, &s)
	if err != nil {
		t.Fatal(err)
	}
	v, err := receipt.NewVerifier(g)
	if err != nil {
		t.Fatal(err)
	}
	fact, err := v.Verify(b)
	if err != nil || len(fact.Cosigners) < 2 || slices.Contains(fact.Cosigners, "charlie") {
		t.Errorf("the receipt says %+v, %v", fact, err)
	}
	r, err := receipt.Parse(b)
	if err != nil || len(r.Links) != 2 {
		t.Fatalf("%d hand-offs in the receipt: %v", len(r.Links), err)
	}
	// Two cosigners are a quorum of the last panel alone: all three would be one of
	// the panel before it, too.
	r.Note = firstCosigners(r.Note, 2)
	verify := func() error {
		b, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(b)
		return err
	}
	if err := verify(); err != nil {
		t.Errorf("a receipt that a quorum cosigned: %v", err)
	}
	r.Links = r.Links[:1]
	if verify() == nil {
		t.Error("a receipt without the last hand-off holds")
	}
	dump := dumpOf(t, from)
	report, err := audit.Verify(ctx, bytes.NewReader(dump), audit.Options{Genesis: g})
	if err != nil || len(report.Cosigners) < 2 || slices.Contains(report.Cosigners, "charlie") {
		t.Errorf("the audit says %+v, %v", report, err)
	}
}
