// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// changed copies a body and changes the copy.
func changed[T any](of *T, change func(*T)) *T {
	x := *of
	change(&x)
	return &x
}

// TestBodiesThatAreWrongInThemselves changes one thing in a body that is right.
func TestBodiesThatAreWrongInThemselves(t *testing.T) {
	for _, b := range bodies() {
		if err := b.body.Check(); err != nil {
			t.Fatalf("%s is right: %v", b.name, err)
		}
	}
	referral := func(change func(*spec.Referral)) spec.Body {
		p := order()
		change(&p.Referral[0])
		return p
	}
	key := proved(40, &spec.KeyChange{Org: "alpha", Use: spec.UseOp, New: []spec.PublicKey{public(40)}, Reason: "x"})
	taxonomy := func(change func(*spec.Taxonomy)) spec.Body {
		x := spec.DefaultTaxonomy()
		change(&x)
		return &spec.TaxonomyChange{Taxonomy: x}
	}
	for name, x := range map[string]struct {
		want spec.Code
		body spec.Body
	}{
		"no items":               {spec.CodeTooLarge, changed(proposal(), func(p *spec.Proposal) { p.Items = nil })},
		"too many signals":       {spec.CodeTooLarge, changed(proposal(), func(p *spec.Proposal) { p.Items[0].Counts[0].Count = spec.MaxSignals })},
		"count of 2^63":          {spec.CodeTooLarge, changed(proposal(), func(p *spec.Proposal) { p.Items[0].Counts[0].Count = 1 << 63 })},
		"type unheard of":        {spec.CodeSignalType, changed(proposal(), func(p *spec.Proposal) { p.Items[0].Counts[0].Type = "x" })},
		"label twice":            {spec.CodeLabel, changed(proposal(), func(p *spec.Proposal) { p.Items[0].Labels = []string{"a", "a"} })},
		"label in capitals":      {spec.CodeLabel, changed(proposal(), func(p *spec.Proposal) { p.Items[0].Labels = []string{"A"} })},
		"basis in words":         {spec.CodeReason, changed(proposal(), func(p *spec.Proposal) { p.Basis = "some words" })},
		"urgency 2":              {spec.CodeMalformed, changed(proposal(), func(p *spec.Proposal) { p.Urgency = 2 })},
		"short text hash":        {spec.CodeMalformed, changed(proposal(), func(p *spec.Proposal) { p.Text = []byte{1} })},
		"two referrals":          {spec.CodeMalformed, changed(order(), func(p *spec.Proposal) { p.Referral = append(p.Referral, p.Referral[0]) })},
		"order without ground":   {spec.CodeReferral, referral(func(r *spec.Referral) { r.Grounds = nil })},
		"ground unheard of":      {spec.CodeReferral, referral(func(r *spec.Referral) { r.Grounds = []string{"dislike"} })},
		"order to no one":        {spec.CodeReferral, referral(func(r *spec.Referral) { r.Addressee = "" })},
		"order without number":   {spec.CodeReferral, referral(func(r *spec.Referral) { r.Reference = nil })},
		"order that ended":       {spec.CodeReferral, referral(func(r *spec.Referral) { r.DeadlineMS = r.IssuedMS - 1 })},
		"form 0":                 {spec.CodeReferral, referral(func(r *spec.Referral) { r.Form = 0 })},
		"state in small":         {spec.CodeReferral, referral(func(r *spec.Referral) { r.State = "fr" })},
		"choice 0":               {spec.CodeMalformed, changed(vote(), func(v *spec.Vote) { v.Choice = 0 })},
		"rejects in part":        {spec.CodeMalformed, changed(vote(), func(v *spec.Vote) { v.Choice = spec.Reject })},
		"excepts out of order":   {spec.CodeMalformed, changed(vote(), func(v *spec.Vote) { v.Except = []uint64{2, 1} })},
		"excepts twice":          {spec.CodeMalformed, changed(vote(), func(v *spec.Vote) { v.Except = []uint64{1, 1} })},
		"blast twice":            {spec.CodeMalformed, changed(vote(), func(v *spec.Vote) { v.Blast = make([]spec.Blast, 2) })},
		"dispute for nothing":    {spec.CodeReason, &spec.Dispute{}},
		"enrols without a card":  {spec.CodeCard, &spec.Membership{Action: spec.ActionEnrol, Org: "x"}},
		"card of another":        {spec.CodeCard, changed(enrolment(9, "uniform", spec.RoleReader, "IE"), func(m *spec.Membership) { m.Org = "x" })},
		"expels with a card":     {spec.CodeCard, changed(enrolment(9, "uniform", spec.RoleReader, "IE"), func(m *spec.Membership) { m.Action = spec.ActionExpel })},
		"enrols in no tier":      {spec.CodeCard, changed(enrolment(9, "uniform", spec.RoleReader, "IE"), func(m *spec.Membership) { m.Tier = "" })},
		"tier unheard of":        {spec.CodeCard, changed(enrolment(9, "uniform", spec.RoleReader, "IE"), func(m *spec.Membership) { m.Tier = "half" })},
		"member without values":  {spec.CodeCard, inDigest(enrolment(9, "uniform", spec.RoleMember, "IE"))},
		"auditor of a tier":      {spec.CodeCard, inDigest(enrolment(9, "uniform", spec.RoleAuditor, "IE"))},
		"change to no tier":      {spec.CodeCard, &spec.Membership{Action: spec.ActionTier, Org: "x"}},
		"expels in a tier":       {spec.CodeMalformed, &spec.Membership{Action: spec.ActionExpel, Org: "x", Tier: spec.TierDigest}},
		"action 5":               {spec.CodeMalformed, &spec.Membership{Action: 5, Org: "x"}},
		"keys not proved":        {spec.CodePossession, changed(enrolment(9, "uniform", spec.RoleReader, "IE"), func(m *spec.Membership) { m.Proofs = m.Proofs[:2] })},
		"proved by another key":  {spec.CodePossession, changed(enrolment(9, "uniform", spec.RoleReader, "IE"), func(m *spec.Membership) { m.Proofs = []spec.Proof{m.Proofs[1], m.Proofs[1], m.Proofs[2]} })},
		"new key not proved":     {spec.CodePossession, changed(key, func(k *spec.KeyChange) { k.Proof = nil })},
		"card of another use":    {spec.CodePossession, changed(key, func(k *spec.KeyChange) { k.Use = spec.UseLibp2p })},
		"card of another's":      {spec.CodePossession, changed(key, func(k *spec.KeyChange) { k.Org = "bravo" })},
		"recovers from nothing":  {spec.CodeMalformed, &spec.Recover{Seats: []spec.Seat{{Org: "alpha", Key: public(4)}}, Epoch: 1}},
		"recovers, weak key":     {spec.CodeWeakKey, &spec.Recover{Size: 1, Epoch: 1, Seats: []spec.Seat{{Org: "alpha"}}}},
		"recovers, a key twice":  {spec.CodePolicy, &spec.Recover{Size: 1, Epoch: 1, Seats: []spec.Seat{{Org: "alpha", Key: public(4)}, {Org: "bravo", Key: public(4)}}}},
		"recovers, a seat twice": {spec.CodePolicy, &spec.Recover{Size: 1, Epoch: 1, Seats: []spec.Seat{{Org: "alpha", Key: public(4)}, {Org: "alpha", Key: public(5)}}}},
		"recovers in disorder":   {spec.CodePolicy, &spec.Recover{Size: 1, Epoch: 1, Seats: []spec.Seat{{Org: "bravo", Key: public(4)}, {Org: "alpha", Key: public(5)}}}},
		"recovers with no one":   {spec.CodePolicy, &spec.Recover{Size: 1, Epoch: 1}},
		"no key":                 {spec.CodeMalformed, changed(key, func(k *spec.KeyChange) { k.New = nil })},
		"weak key":               {spec.CodeWeakKey, changed(key, func(k *spec.KeyChange) { k.New = []spec.PublicKey{{1}} })},
		"doubts a new key":       {spec.CodeMalformed, changed(key, func(k *spec.KeyChange) { k.Since = 1 })},
		"revokes a cosign key":   {spec.CodeMalformed, changed(key, func(k *spec.KeyChange) { k.Use, k.Old = spec.UseCosign, k.New })},
		"receipt of nothing":     {spec.CodeTooLarge, &spec.Applied{}},
		"receipt out of order":   {spec.CodeMalformed, &spec.Applied{At: make([]spec.AppliedAt, 2)}},
		"acts before the match":  {spec.CodeMalformed, &spec.Actions{Reports: []spec.Action{{MatchedMS: 1, What: "removed", Count: 1}}}},
		"allows nothing":         {spec.CodeTooLarge, &spec.AllowChange{Reason: "x"}},
		"allows a short value":   {spec.CodeSignal, &spec.AllowChange{Add: []spec.Allowed{{Type: "md5", Value: []byte{1}}}, Reason: "x"}},
		"term out of order":      {spec.CodeLabel, taxonomy(func(x *spec.Taxonomy) { x.Terms[0], x.Terms[1] = x.Terms[1], x.Terms[0] })},
		"term without French":    {spec.CodeLabel, taxonomy(func(x *spec.Taxonomy) { x.Terms[0].TextFR = "" })},
		"term of no axis":        {spec.CodeLabel, taxonomy(func(x *spec.Taxonomy) { x.Terms[0].Axis = "colour" })},
		"term that turns round":  {spec.CodeLabel, taxonomy(func(x *spec.Taxonomy) { x.Terms[0].NameEN = "a\u202eb" })},
	} {
		if got := spec.CodeOf(x.body.Check()); got != x.want {
			t.Errorf("%s: %q, want %s", name, got, x.want)
		}
	}
}

// TestPoliciesUnderWhichNothingCouldBeDecided changes one thing in the default.
func TestPoliciesUnderWhichNothingCouldBeDecided(t *testing.T) {
	p := spec.DefaultPolicy()
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*spec.Policy){
		"threshold 0":        func(p *spec.Policy) { p.Addition.Threshold.Num = 0 },
		"threshold above 1":  func(p *spec.Policy) { p.Dispute.Threshold = spec.Fraction{Num: 3, Den: 2} },
		"more than all":      func(p *spec.Policy) { p.Keys.Threshold = spec.Fraction{Num: 1, Den: 1, Strict: true} },
		"no window":          func(p *spec.Policy) { p.Change.WindowMS = 0 },
		"window of for ever": func(p *spec.Policy) { p.Change.WindowMS = spec.Never },
		"cool-down for ever": func(p *spec.Policy) { p.Membership.CooldownMS = p.Membership.WindowMS },
		"quorum of 1/0":      func(p *spec.Policy) { p.Addition.Quorum.Num = 1 },
		"urgent for no one":  func(p *spec.Policy) { p.Urgent.Approvals = 0 },
		"urgent for ever":    func(p *spec.Policy) { p.Urgent.SunsetMS = spec.Never },
		"ten sequencers":     func(p *spec.Policy) { p.Sequencers = strings.Fields("a b c d e f g h i j") },
		"sequencer twice":    func(p *spec.Policy) { p.Sequencers = []string{"a", "a"} },
		"half cosigns":       func(p *spec.Policy) { p.Sequencers, p.FinalityK = []string{"a", "b"}, 1 },
		"k of no one named":  func(p *spec.Policy) { p.FinalityK = 3 },
		"no versions":        func(p *spec.Policy) { p.Schemas = nil },
		"unknown version":    func(p *spec.Policy) { p.Schemas = []uint64{1, 2} },
	} {
		x := spec.DefaultPolicy()
		change(&x)
		if code := spec.CodeOf(x.Check()); code != spec.CodePolicy && code != spec.CodeVersion {
			t.Errorf("%s: %q", name, code)
		}
	}
}

func TestDefaultTaxonomyIsInOrder(t *testing.T) {
	x := spec.DefaultTaxonomy()
	if err := x.Check(); err != nil || len(x.Terms) == 0 {
		t.Fatalf("%d terms: %v", len(x.Terms), err)
	}
}
