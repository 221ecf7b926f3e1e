// SPDX-License-Identifier: Apache-2.0

package governance_test

import (
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

func TestForgedOperationsAreRefused(t *testing.T) {
	c := trio(t)
	p, o := c.batch("one")
	forge := func(change func(*spec.Op)) spec.Submission {
		op := c.op("alpha", p)
		change(op)
		return submission(t, c.sign(op, c.keys["alpha"]), o)
	}
	mallory := keyOf("mallory")
	for name, x := range map[string]struct {
		want spec.Code
		sub  spec.Submission
	}{
		"signed by another":       {spec.CodeSignature, submission(t, c.sign(c.op("alpha", p), mallory), o)},
		"organisation unknown":    {spec.CodeOrg, forge(func(op *spec.Op) { op.Org = "zulu" })},
		"another's name":          {spec.CodeKey, forge(func(op *spec.Op) { op.Org = "bravo" })},
		"another's name and key":  {spec.CodeSignature, forge(func(op *spec.Op) { op.Org, op.Key = "bravo", publicOf("bravo op").ID() })},
		"a key it does not have":  {spec.CodeKey, forge(func(op *spec.Op) { op.Key = publicOf("mallory").ID() })},
		"its cosign key":          {spec.CodeKey, forge(func(op *spec.Op) { op.Key = publicOf("alpha cosign").ID() })},
		"an epoch ago":            {spec.CodeEpoch, forge(func(op *spec.Op) { op.Epoch++ })},
		"sequence number 0":       {spec.CodeMalformed, forge(func(op *spec.Op) { op.Seq = 0 })},
		"sequence number of 2^63": {spec.CodeMalformed, forge(func(op *spec.Op) { op.Seq = 1 << 63 })},
		"another version":         {spec.CodeVersion, forge(func(op *spec.Op) { op.Version++ })},
		"another kind":            {spec.CodeKind, forge(func(op *spec.Op) { op.Kind = 99 })},
		"a kind of another body":  {spec.CodeMalformed, forge(func(op *spec.Op) { op.Kind = spec.KindVote })},
		"bytes of noise":          {spec.CodeMalformed, spec.Submission{Envelope: []byte("noise")}},
		"nothing":                 {spec.CodeMalformed, spec.Submission{}},
		"an opening of noise":     {spec.CodeMalformed, spec.Submission{Envelope: c.sign(c.op("alpha", p), c.keys["alpha"]), Opening: []byte("noise")}},
	} {
		t.Run(name, func(t *testing.T) {
			c.t = t
			c.refuseOp(x.want, x.sub)
		})
	}
}

func TestOperationOfAnotherConsortiumIsRefused(t *testing.T) {
	c := trio(t)
	p, o := c.batch("one")
	env, err := spec.Sign("other/0123456789abcdef", c.op("alpha", p), c.keys["alpha"])
	if err != nil {
		t.Fatal(err)
	}
	c.refuseOp(spec.CodeSignature, submission(t, env, o))
}

func TestEveryBitOfAnEnvelopeIsSigned(t *testing.T) {
	c := trio(t)
	p, o := c.batch("one")
	good := submission(t, c.sign(c.op("alpha", p), c.keys["alpha"]), o)
	before := c.ledger.dump()
	for bit := range 8 * len(good.Envelope) {
		bad := submission(t, append([]byte(nil), good.Envelope...), o)
		bad.Envelope[bit/8] ^= 1 << (bit % 8)
		if out := c.enter(0, bad)[0]; out.Code == "" {
			t.Fatalf("bit %d can be turned", bit)
		}
	}
	if c.ledger.dump() != before {
		t.Fatal("a refused operation left a trace")
	}
	if out := c.enter(0, good)[0]; out.Code != "" {
		t.Fatalf("the untouched one is refused with %s", out.Code)
	}
}

func TestReplayedOperations(t *testing.T) {
	c := trio(t)
	p, o := c.batch("one")
	op := c.op("alpha", p)
	sub := submission(t, c.sign(op, c.keys["alpha"]), o)
	first := c.enter(0, sub)[0]
	before := c.ledger.dump()
	again := c.enter(0, sub, sub)
	if again[0] != first || again[1] != first {
		t.Fatalf("the same bytes again gave %v, the first time %v", again, first)
	}
	if c.ledger.dump() != before {
		t.Fatal("the same bytes again left a trace")
	}
	other, o2 := c.batch("two")
	reused := c.op("alpha", other)
	reused.Seq = op.Seq
	c.refuseOp(spec.CodeReplayed, submission(t, c.sign(reused, c.keys["alpha"]), o2))
}

func TestSequenceNumbersMayComeLateInsideTheWindow(t *testing.T) {
	c := trio(t)
	submit := func(seq uint64) spec.Submission {
		p, o := c.batch("late")
		op := c.op("alpha", p)
		op.Seq = seq
		return submission(t, c.sign(op, c.keys["alpha"]), o)
	}
	ok := func(seq uint64) {
		t.Helper()
		if out := c.enter(0, submit(seq))[0]; out.Code != "" {
			t.Fatalf("%d is refused with %s", seq, out.Code)
		}
	}
	ok(2000)
	ok(2000 - spec.Window + 1)
	c.refuseOp(spec.CodeReplayed, submit(2000-spec.Window))
	c.refuseOp(spec.CodeReplayed, submit(2000-spec.Window+1))
	ok(1999)
	ok(2001)
	c.refuseOp(spec.CodeReplayed, submit(2000))
	ok(2001 + 2*spec.Window)
	c.refuseOp(spec.CodeReplayed, submit(2001))
	ok(2000 + 2*spec.Window)
}

func TestOpenings(t *testing.T) {
	c := trio(t)
	p, o := c.batch("one two", "three")
	c.refuse(spec.CodeOpening, "alpha", p, nil)
	mixed := &spec.Opening{Signals: append([]spec.Opened(nil), o.Signals...), Texts: o.Texts}
	mixed.Signals[1] = o.Keys().Signals[1]
	c.refuse(spec.CodeMalformed, "alpha", p, mixed)
	wrong := map[string]func(*spec.Opening){
		"another value":    func(o *spec.Opening) { o.Signals[0].Signal = sha("other") },
		"another salt":     func(o *spec.Opening) { o.Signals[0].Salt[0]++ },
		"another order":    func(o *spec.Opening) { o.Signals[0], o.Signals[1] = o.Signals[1], o.Signals[0] },
		"one less":         func(o *spec.Opening) { o.Signals = o.Signals[:2] },
		"one more":         func(o *spec.Opening) { o.Signals = append(o.Signals, o.Signals[0]) },
		"one erased":       func(o *spec.Opening) { o.Signals[1] = spec.Opened{Erased: true, Blinded: o.Signals[1].Commitment()} },
		"a text too many":  func(o *spec.Opening) { o.Texts = append(o.Texts, text("x")) },
		"a text not meant": func(o *spec.Opening) { o.Texts[0] = text("x") },
	}
	for name, change := range wrong {
		t.Run(name, func(t *testing.T) {
			c.t = t
			bad := &spec.Opening{Signals: append([]spec.Opened(nil), o.Signals...), Texts: append([]spec.Text(nil), o.Texts...)}
			change(bad)
			c.refuse(spec.CodeMismatch, "alpha", p, bad)
		})
	}
}

// TestProposalsThatOpenToWhatTheyDoNotSay commits truly, to something wrong.
func TestProposalsThatOpenToWhatTheyDoNotSay(t *testing.T) {
	for name, x := range map[string]struct {
		want   spec.Code
		change func(*spec.Proposal, *spec.Opening)
	}{
		"of another item":      {spec.CodeMismatch, func(_ *spec.Proposal, o *spec.Opening) { o.Signals[0].Item = 1 }},
		"of another type":      {spec.CodeMismatch, func(p *spec.Proposal, _ *spec.Opening) { p.Items[0].Counts[0].Type = "pdq" }},
		"of the wrong size":    {spec.CodeSignal, func(_ *spec.Proposal, o *spec.Opening) { o.Signals[0].Signal.Value = []byte{1} }},
		"a signal twice":       {spec.CodeDuplicate, func(_ *spec.Proposal, o *spec.Opening) { o.Signals[1].Signal = o.Signals[0].Signal }},
		"a quality for sha256": {spec.CodeSignal, func(_ *spec.Proposal, o *spec.Opening) { o.Signals[0].Signal.Quality = 80 }},
	} {
		t.Run(name, func(t *testing.T) {
			c := trio(t)
			p, o := c.batch("one two", "three")
			x.change(p, o)
			p.Root = spec.CommitmentRoot(o.Signals)
			c.refuse(x.want, "alpha", p, o)
		})
	}
}

func TestTextsOfOtherOperations(t *testing.T) {
	c := trio(t)
	id := c.propose("alpha", "one")
	why := text("because")
	v := &spec.Vote{Case: id, Choice: spec.Reject, Text: why.Hash()}
	c.refuse(spec.CodeOpening, "bravo", v, nil)
	c.refuse(spec.CodeMismatch, "bravo", v, &spec.Opening{Texts: []spec.Text{text("other")}})
	_, signals := c.batch("one")
	c.refuse(spec.CodeMismatch, "bravo", v, signals)
	bare := &spec.Vote{Case: id, Choice: spec.Reject}
	c.refuse(spec.CodeMismatch, "bravo", bare, &spec.Opening{Texts: []spec.Text{{}}})
	c.do("bravo", v, &spec.Opening{Texts: []spec.Text{why}})
}

func TestVerifyAheadDoesNotOutliveAKey(t *testing.T) {
	c := trio(t)
	p, _ := c.batch("one")
	s, err := spec.ParseEnvelope(c.sign(c.op("alpha", p), c.keys["alpha"]))
	if err != nil {
		t.Fatal(err)
	}
	origin, mine := c.genesis.Origin(), publicOf("alpha op")
	if !s.Verify(origin, mine) || s.Verify(origin, publicOf("mallory")) || !s.Verify(origin, mine) || s.Verify("x/0", mine) {
		t.Fatal("the remembered answer is given for another key or origin")
	}
}
