// SPDX-License-Identifier: Apache-2.0

package governance_test

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/datadriven"

	"github.com/tocsin-db/tocsin/spec"
)

func publicKey(k ed25519.PrivateKey) spec.PublicKey {
	return spec.PublicKey(k.Public().(ed25519.PublicKey))
}

// body makes what a step asks for.
func (s *story) body(d *datadriven.TestData) (spec.Body, *spec.Opening) {
	s.t.Helper()
	first := ""
	if len(d.CmdArgs) > 0 {
		first = d.CmdArgs[0].Key
	}
	switch d.Cmd {
	case "propose":
		return s.proposal(d)
	case "vote":
		return s.ballot(d), nil
	case "dispute":
		return &spec.Dispute{Entry: s.entry(first), Reason: "lawful-content", Signals: numbers(arg(d, "signals")), Freeze: d.HasArg("freeze")}, nil
	case "withdraw":
		return &spec.Withdraw{Case: s.id(first), Reason: "mistake"}, nil
	case "enrol":
		o := card(arg(d, "card"))
		if s.keys[o.ID] == nil {
			s.keys[o.ID] = keyOf(o.ID + " op")
		}
		m := enrolment(o)
		if d.HasArg("tier") {
			m.Tier = arg(d, "tier")
		}
		return m, nil
	case "tier":
		return &spec.Membership{Action: spec.ActionTier, Org: first, Tier: arg(d, "to")}, nil
	case "expel":
		return &spec.Membership{Action: spec.ActionExpel, Org: first}, nil
	case "leave":
		return &spec.Membership{Action: spec.ActionLeave, Org: arg(d, "by")}, nil
	case "key":
		return s.keyChange(d), nil
	case "policy":
		p := s.policy()
		over := p.Digest()
		adjust(s.t, &p, d)
		return &spec.PolicyChange{Over: over, Policy: p}, nil
	case "taxonomy":
		return s.taxonomy(d), nil
	case "allow":
		return &spec.AllowChange{Add: values(arg(d, "add")), Remove: values(arg(d, "remove")), Reason: "press-photo"}, nil
	case "ready":
		return &spec.Ready{Size: s.size(d)}, nil
	case "receipt":
		return &spec.Applied{At: []spec.AppliedAt{{Index: s.ledger.Size() - 1, AtMS: s.now}}}, nil
	case "act":
		took := span(s.t, arg(d, "after"))
		return &spec.Actions{Reports: []spec.Action{{Entry: s.entry(first), MatchedMS: s.now, ActedMS: s.now + took, What: "removed", Count: 1}}}, nil
	}
	s.t.Fatalf("%s: no such step as %q", d.Pos, d.Cmd)
	return nil, nil
}

// proposal makes an item of each line of input: its signals, after its labels and
// a colon if it has any.
func (s *story) proposal(d *datadriven.TestData) (spec.Body, *spec.Opening) {
	p, o := &spec.Proposal{Basis: "designated-entity"}, &spec.Opening{}
	for i, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
		labels, names, ok := strings.Cut(line, ": ")
		if !ok {
			labels, names = "", line
		}
		item := spec.Item{Labels: slices.Sorted(slices.Values(strings.Fields(labels)))}
		for _, n := range strings.Fields(names) {
			x := signalOf(n)
			o.Signals = append(o.Signals, spec.Opened{Salt: s.fresh(), Item: i, Signal: x})
			item.Counts = append(item.Counts, spec.Count{Type: x.Type, Count: 1})
		}
		p.Items = append(p.Items, item)
	}
	p.Root = spec.CommitmentRoot(o.Signals)
	if d.HasArg("urgent") {
		p.Urgency = spec.Urgent
	}
	if form := arg(d, "referral"); form != "" {
		s.refer(p, o, form, d)
		return p, o
	}
	o.Texts = make([]spec.Text, len(p.TextHashes()))
	return p, o
}

func (s *story) refer(p *spec.Proposal, o *spec.Opening, form string, d *datadriven.TestData) {
	r := spec.Referral{Form: spec.FormNotice, Basis: "terms-of-service", State: "FR", IssuedMS: s.now}
	o.Texts = make([]spec.Text, 5)
	if form == "order" {
		r.Form, r.Basis, r.Addressee, r.Grounds = spec.FormRemovalOrder, "eu-2021-784-art-3", "IE", []string{"incitement"}
		for i, x := range []string{"order 1", "an authority", "an address"} {
			o.Texts[i+2] = text(x)
		}
		r.Reference, r.Authority, r.Locator = o.Texts[2].Hash(), o.Texts[3].Hash(), o.Texts[4].Hash()
	}
	if in := arg(d, "deadline"); in != "" {
		r.DeadlineMS = s.now + span(s.t, in)
	}
	p.Referral = []spec.Referral{r}
}

func (s *story) ballot(d *datadriven.TestData) *spec.Vote {
	v := &spec.Vote{
		Case: s.id(d.CmdArgs[0].Key), Except: numbers(arg(d, "except")), Override: numbers(arg(d, "override")),
	}
	for choice, name := range []string{spec.Approve: "approve", spec.Reject: "reject", spec.Abstain: "abstain"} {
		if name != "" && d.HasArg(name) {
			v.Choice = uint64(choice)
		}
	}
	for _, f := range strings.Fields(arg(d, "blast")) {
		var b spec.Blast
		if _, err := fmt.Sscanf(f, "%d:%d:%d", &b.Item, &b.Sightings, &b.Lawful); err != nil {
			s.t.Fatal(err)
		}
		v.Blast = append(v.Blast, b)
	}
	return v
}

func numbers(list string) []uint64 {
	var out []uint64
	for _, f := range strings.Fields(list) {
		n, _ := strconv.ParseUint(f, 10, 64)
		out = append(out, n)
	}
	return out
}

func values(names string) []spec.Allowed {
	var out []spec.Allowed
	for _, n := range strings.Fields(names) {
		x := signalOf(n)
		out = append(out, spec.Allowed{Type: x.Type, Value: x.Value})
	}
	slices.SortFunc(out, func(a, b spec.Allowed) int {
		return strings.Compare(a.Type+string(a.Value), b.Type+string(b.Value))
	})
	return out
}

func (s *story) keyChange(d *datadriven.TestData) *spec.KeyChange {
	k := &spec.KeyChange{Org: arg(d, "org"), Use: spec.UseOp, Reason: "rotation"}
	switch arg(d, "use") {
	case "cosign":
		k.Use = spec.UseCosign
	case "libp2p":
		k.Use = spec.UseLibp2p
	}
	if n := arg(d, "new"); n != "" {
		k.New = []spec.PublicKey{publicOf(n)}
	}
	if n := arg(d, "old"); n != "" {
		k.Old = []spec.PublicKey{publicOf(n)}
	}
	if of := arg(d, "since"); of == "ahead" {
		k.Since, k.Reason = s.ledger.Size()+2, "stolen"
	} else if of != "" {
		k.Since, k.Reason = s.ledger.index[s.names[of]], "stolen"
	}
	proved(k)
	if of := arg(d, "proof-for"); of != "" { // a card of another is signed with the key
		k.Proof = []spec.Proof{spec.NewKeyCard(of, k.Use, privateOf(k.New[0])).Proof}
	}
	return k
}

// taxonomy is the one in force with changes: lines "+ label" and "- label".
func (s *story) taxonomy(d *datadriven.TestData) *spec.TaxonomyChange {
	var now spec.Taxonomy
	s.read(spec.TaxonomyKey, &now)
	now.Version++
	for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
		sign, label, _ := strings.Cut(line, " ")
		axis, code, _ := strings.Cut(label, ":")
		i := slices.IndexFunc(now.Terms, func(t spec.Term) bool { return t.Label() == label })
		switch {
		case sign == "+":
			now.Terms = append(now.Terms, spec.Term{Axis: axis, Code: code, Active: true, NameEN: code, NameFR: code, TextEN: code, TextFR: code})
		case sign == "-":
			now.Terms[i].Active = false
		case sign == "lose":
			now.Terms = slices.Delete(now.Terms, i, i+1)
		}
	}
	slices.SortFunc(now.Terms, func(a, b spec.Term) int { return strings.Compare(a.Label(), b.Label()) })
	return &spec.TaxonomyChange{Taxonomy: now}
}
