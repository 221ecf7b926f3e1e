// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/transparency-dev/formats/proof"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog/receipt"
)

func verifierOf(t testing.TB, p *trial.Participant) *receipt.Verifier {
	t.Helper()
	g, err := identity.LoadGenesis(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	v, err := receipt.NewVerifier(g.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A receipt of each kind holds for anyone with the genesis document, says what
// happened, and no byte of it can be changed.
func TestReceipts(t *testing.T) {
	ctx, c := found(t, 5)
	reader, err := c.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	v := verifierOf(t, reader)
	for i := range byte(3) {
		id, err := c.Members[0].Propose(ctx, api.Proposal{
			Items: []api.ProposalItem{
				{Labels: []string{"isil"}, Signals: []spec.Signal{sha(10 * i), sha(10*i + 1)}}, {Labels: []string{"manual"}, Signals: []spec.Signal{sha(10*i + 2)}},
			},
			Basis: "designated-entity", Text: "seen twice",
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range c.Members[1:3] {
			if _, err := m.Vote(ctx, api.Ballot{Case: id, Choice: spec.Approve}); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := sha(11)
	awaitMatches(t, ctx, reader, s, 1)
	awaitMatches(t, ctx, c.Members[3], s, 1) // which may be the one of five that is behind
	entry := matches(t, reader, s)[0].Entry

	check := func(p *trial.Participant, signal *spec.Signal, state string, approvers, against []string) []byte {
		t.Helper()
		b, err := p.Receipt(ctx, entry, signal)
		if err != nil {
			t.Fatalf("%s: %v", p.ID, err)
		}
		f, err := v.Verify(b)
		if err != nil {
			t.Fatalf("%s: %v", p.ID, err)
		}
		if f.Entry != entry || f.State != state || f.Organisation != "alpha" || !slices.Equal(f.Labels, []string{"isil"}) {
			t.Fatalf("%s: the receipt says %+v", p.ID, f)
		}
		if !slices.Equal(f.Listing.Approvers, approvers) || f.Listing.Need != 3 || f.Listing.Decided == 0 || len(f.Cosigners) < 4 || f.Final.IsZero() {
			t.Fatalf("%s: the receipt says %+v", p.ID, f)
		}
		if signal == nil != (f.Signal == nil) || signal != nil && (!bytes.Equal(f.Signal.Value, signal.Value) || !f.Live) {
			t.Fatalf("%s: the receipt opens %v", p.ID, f.Signal)
		}
		if (f.Retraction == nil) != (against == nil) || against != nil && !slices.Equal(f.Retraction.Approvers, against) {
			t.Fatalf("%s: the receipt says %+v of the retraction", p.ID, f.Retraction)
		}
		if len(b) > 10<<10 {
			t.Errorf("the receipt has %d bytes", len(b))
		}
		t.Logf("%s, %s: %d bytes", p.ID, state, len(b))
		return b
	}
	three := []string{"alpha", "bravo", "charlie"}
	check(c.Members[3], &s, "active", three, nil)
	check(c.Members[3], nil, "active", three, nil)
	tamper(t, v.Verify, check(reader, &s, "active", three, nil))
	if b, err := reader.Receipt(ctx, entry, ptr(sha(99))); spec.CodeOf(err) != spec.CodeEntry {
		t.Fatalf("a receipt of %d bytes for a signal that the entry does not list: %v", len(b), err)
	}

	dispute, err := c.Members[4].Dispute(ctx, api.Claim{Entry: entry, Reason: "lawful-content"})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range c.Members[1:3] {
		if _, err := m.Vote(ctx, api.Ballot{Case: dispute, Choice: spec.Approve}); err != nil {
			t.Fatal(err)
		}
	}
	awaitMatches(t, ctx, reader, s, 0)
	tamper(t, v.Verify, check(reader, nil, "retracted", three, []string{"bravo", "charlie", "echo"}))
	if _, err := reader.Receipt(ctx, entry, &s); spec.CodeOf(err) != spec.CodeEntry {
		t.Fatalf("a retracted value is opened: %v", err)
	}

	_, other := found(t, 3)
	b := check(reader, nil, "retracted", three, []string{"bravo", "charlie", "echo"})
	if _, err := verifierOf(t, other.Members[0]).Verify(b); err == nil {
		t.Fatal("the receipt holds for another consortium")
	}
}

// The receipt of a retraction says when every sequencer had applied it, once each
// has said so in the log; before that it says of whom it is not known.
func TestARetractionSaysWhenItWasApplied(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3, Receipts: 50 * time.Millisecond})
	v := verifierOf(t, c.Members[0])
	list(t, c, sha(1))
	awaitMatches(t, ctx, c.Members[1], sha(1), 1)
	entry := matches(t, c.Members[1], sha(1))[0].Entry
	began := time.Now()
	dispute, err := c.Members[2].Dispute(ctx, api.Claim{Entry: entry, Reason: "lawful-content"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Members[1].Vote(ctx, api.Ballot{Case: dispute, Choice: spec.Approve}); err != nil {
		t.Fatal(err)
	}
	var b []byte
	var f *receipt.Fact
	err = trial.Await(ctx, func() (bool, error) {
		if b, err = c.Members[0].Receipt(ctx, entry, nil); err != nil {
			return false, err
		}
		if f, err = v.Verify(b); err != nil {
			return false, err
		}
		if f.State != "retracted" {
			return false, nil // this node is a moment behind
		}
		if len(f.Applied)+len(f.Unconfirmed) != 3 {
			t.Fatalf("applied by %v, not known of %v", f.Applied, f.Unconfirmed)
		}
		_, known := f.Everywhere()
		return known, nil
	})
	if err != nil {
		t.Fatalf("it is never known: %+v, %v", f, err)
	}
	at, _ := f.Everywhere()
	for _, a := range f.Applied {
		if a.At.Before(began.Add(-time.Second)) || a.At.After(at) || at.After(time.Now()) {
			t.Errorf("%s applied it at %v of %v to %v", a.Organisation, a.At, began, at)
		}
	}
	tamper(t, v.Verify, b)
	r, err := receipt.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	less := 0
	for i := range r.Leaves { // without one of the words it is not known any more
		l, err := spec.ParseLeaf(r.Leaves[i].Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if l.Signed == nil || l.Signed.Op.Kind != spec.KindReceipt {
			continue
		}
		less++
		short := *r
		short.Leaves = slices.Delete(slices.Clone(r.Leaves), i, i+1)
		b, err := short.Encode()
		if err != nil {
			t.Fatal(err)
		}
		f, err := v.Verify(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, known := f.Everywhere(); known || !slices.Equal(f.Unconfirmed, []string{l.Signed.Op.Org}) {
			t.Errorf("without the word of %s: %v", l.Signed.Op.Org, f.Unconfirmed)
		}
	}
	if less != 3 {
		t.Errorf("%d propagation receipts are shown", less)
	}
}

func ptr[T any](v T) *T { return &v }

// tamper flips a bit of every byte.
func tamper[F any](t *testing.T, verify func([]byte) (*F, error), good []byte) {
	t.Helper()
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		if f, err := verify(b); err == nil {
			t.Fatalf("byte %d of %d flipped: the receipt says %+v", i, len(b), f)
		}
	}
	for _, b := range [][]byte{nil, good[:len(good)-1], append(bytes.Clone(good), 0)} {
		if _, err := verify(b); err == nil {
			t.Fatalf("%d of %d bytes hold", len(b), len(good))
		}
	}
}

// A receipt without one of its leaves or records, or with one more, is refused.
func TestReceiptsHoldWholeOnly(t *testing.T) {
	ctx, c := found(t, 3)
	v := verifierOf(t, c.Members[0])
	list(t, c, sha(1))
	entry := matches(t, c.Members[1], sha(1))[0].Entry
	b, err := c.Members[1].Receipt(ctx, entry, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := receipt.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range r.Proofs() {
		var p proof.TLogProof
		if err := p.Unmarshal(b); err != nil || p.Index != r.Leaves[i].Index || !bytes.Equal(p.Checkpoint, r.Note) {
			t.Fatalf("the stock library reads the proof of leaf %d as %+v, %v", i, p, err)
		}
	}
	refused := func(what string, r receipt.Receipt) {
		t.Helper()
		b, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if f, err := v.Verify(b); err == nil {
			t.Errorf("%s: the receipt says %+v", what, f)
		}
	}
	for i := range r.Leaves {
		less := *r
		less.Leaves = slices.Delete(slices.Clone(r.Leaves), i, i+1)
		refused("without a leaf", less)
	}
	for i := range r.Records {
		less := *r
		less.Records = slices.Delete(slices.Clone(r.Records), i, i+1)
		refused("without a record", less)
	}
	twice := *r
	twice.Leaves = append(slices.Clone(r.Leaves), r.Leaves[len(r.Leaves)-1])
	refused("with a leaf twice", twice)
	list(t, c, sha(2))
	b, err = c.Members[1].Receipt(ctx, matches(t, c.Members[1], sha(2))[0].Entry, nil)
	if err != nil {
		t.Fatal(err)
	}
	r2, err := receipt.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(b); err != nil {
		t.Fatal(err)
	}
	other := *r2
	other.Entry = entry
	refused("of another entry", other)
	// both of one checkpoint, so that every part of one is proved in the other
	err = trial.Await(ctx, func() (bool, error) {
		r, r2 = parsed(t, ctx, c, sha(1)), parsed(t, ctx, c, sha(2))
		return bytes.Equal(r.Note, r2.Note) && r.Leaves[len(r.Leaves)-1].Index == r2.Leaves[len(r2.Leaves)-1].Index, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mixed := *r2
	mixed.Leaves = append(slices.Clone(r.Leaves[:1]), r2.Leaves...)
	refused("with a leaf of another", mixed)
	for _, extra := range r.Records {
		mixed = *r2
		mixed.Records = append(slices.Clone(r2.Records), extra)
		slices.SortFunc(mixed.Records, func(a, b receipt.Record) int { return bytes.Compare(a.Key, b.Key) })
		refused("with a record of another", mixed)
	}
}

func parsed(t *testing.T, ctx context.Context, c *trial.Consortium, s spec.Signal) *receipt.Receipt {
	t.Helper()
	b, err := c.Members[1].Receipt(ctx, matches(t, c.Members[1], s)[0].Entry, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := receipt.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What is not listed is proved so; what is cannot be.
func TestAbsence(t *testing.T) {
	ctx, c := found(t, 3)
	v := verifierOf(t, c.Members[0])
	for i := range byte(4) {
		list(t, c, sha(i))
	}
	b, err := c.Members[1].AbsenceReceipt(ctx, sha(9))
	if err != nil {
		t.Fatal(err)
	}
	f, err := v.VerifyAbsence(b)
	if err != nil || !bytes.Equal(f.Signal.Value, sha(9).Value) {
		t.Fatalf("%+v, %v", f, err)
	}
	tamper(t, v.VerifyAbsence, b)
	if _, err := c.Members[1].AbsenceReceipt(ctx, sha(2)); spec.CodeOf(err) != spec.CodeUsage {
		t.Fatalf("of a listed signal: %v", err)
	}
	a, err := receipt.ParseAbsence(b)
	if err != nil {
		t.Fatal(err)
	}
	a.Value = sha(2).Value
	forged, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if f, err := v.VerifyAbsence(forged); err == nil {
		t.Fatalf("a listed signal is absent: %+v", f)
	}
}

func BenchmarkVerifyReceipt(b *testing.B) {
	ctx, c := found(b, 3)
	v := verifierOf(b, c.Members[0])
	list(b, c, sha(1))
	s := sha(1)
	a, err := c.Members[1].Match(ctx, []spec.Signal{s})
	if err != nil {
		b.Fatal(err)
	}
	r, err := c.Members[1].Receipt(ctx, a.Matches[0].Entry, &s)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(r)), "bytes")
	for b.Loop() {
		if _, err := v.Verify(r); err != nil {
			b.Fatal(err)
		}
	}
}
