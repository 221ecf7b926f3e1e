// SPDX-License-Identifier: Apache-2.0

package governance_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/spec"
)

// rights is the table of governance.md: what each role may sign. What is not here
// must be refused.
var rights = map[string][]string{
	spec.RoleMember: {
		"propose", "propose urgently", "refer", "vote", "dispute", "freeze", "withdraw", "enrol", "expel", "leave", "change own key",
		"change another's key", "change the policy", "change the taxonomy", "change the allow-list", "be ready", "recover", "confirm", "report",
	},
	spec.RoleReader:   {"dispute", "withdraw", "leave", "change own key", "confirm", "report"},
	spec.RoleReferrer: {"refer", "withdraw", "leave", "change own key"},
	spec.RoleAuditor:  {"dispute", "withdraw", "leave", "change own key"},
}

// An attempt is an operation that only the signer's role can speak against.
type attempt struct {
	body    spec.Body
	opening *spec.Opening
}

// attempts makes every operation that there is, for one signer.
func attempts(c *consortium, org string) map[string]attempt {
	open := c.propose("alpha", "open for votes")
	entry := c.listed("listed")
	own := own(c, org)
	plain, o1 := c.batch("plain")
	urgent, o2 := c.batch("urgent")
	urgent.Urgency = spec.Urgent
	refer, o3 := c.batch("referred")
	refer.Referral = []spec.Referral{{Form: spec.FormNotice, Basis: "law", State: "FR"}}
	o3.Texts = make([]spec.Text, 5)
	policy := c.genesis.Policy
	over := policy.Digest()
	policy.OutsidePerDay++
	terms := spec.DefaultTaxonomy()
	terms.Version++
	key := func(org string) *spec.KeyChange {
		return proved(&spec.KeyChange{Org: org, Use: spec.UseOp, New: []spec.PublicKey{publicOf(org + " more")}, Reason: "more"})
	}
	return map[string]attempt{
		"propose": {plain, o1}, "propose urgently": {urgent, o2}, "refer": {refer, o3},
		"vote": {&spec.Vote{Case: open, Choice: spec.Reject}, nil}, "withdraw": {&spec.Withdraw{Case: own, Reason: "mistake"}, nil},
		"dispute": {&spec.Dispute{Entry: entry, Reason: "wrong"}, nil}, "freeze": {&spec.Dispute{Entry: entry, Reason: "wrong", Freeze: true}, nil},
		"enrol": {enrolment(card("victor reader IE")), nil}, "expel": {&spec.Membership{Action: spec.ActionExpel, Org: "charlie"}, nil},
		"leave": {&spec.Membership{Action: spec.ActionLeave, Org: org}, nil}, "leave for another": {&spec.Membership{Action: spec.ActionLeave, Org: "charlie"}, nil},
		"expel itself":   {&spec.Membership{Action: spec.ActionExpel, Org: org}, nil},
		"change own key": {key(org), nil}, "change another's key": {key("charlie"), nil},
		"change the policy":     {&spec.PolicyChange{Over: over, Policy: policy}, nil},
		"change the taxonomy":   {&spec.TaxonomyChange{Taxonomy: terms}, nil},
		"change the allow-list": {&spec.AllowChange{Add: values("press"), Reason: "press"}, nil},
		"recover":               {&spec.Recover{Size: c.ledger.Size(), Root: c.ledger.root(), Seats: []spec.Seat{{Org: "alpha", Key: publicOf("alpha cosign")}}, Epoch: c.clock().Epoch + 1}, nil},
		"be ready":              {&spec.Ready{Size: c.ledger.Size()}, nil}, "confirm": {&spec.Applied{At: []spec.AppliedAt{{Index: 1}}}, nil},
		"report": {&spec.Actions{Reports: []spec.Action{{Entry: entry, What: "removed", Count: 1}}}, nil},
	}
}

// own is a case that the organisation opened, where its role may open one.
func own(c *consortium, org string) spec.Hash {
	switch org {
	case "bravo":
		return c.propose(org, "own")
	case "police":
		p, o := c.batch("own")
		p.Referral = []spec.Referral{{Form: spec.FormNotice, Basis: "law", State: "FR"}}
		o.Texts = make([]spec.Text, 5)
		return c.do(org, p, o)
	}
	return c.do(org, &spec.Dispute{Entry: c.listed("disputed"), Reason: "wrong"}, nil)
}

// TestEveryRoleAndEveryOperation submits each operation as each role.
func TestEveryRoleAndEveryOperation(t *testing.T) {
	signers := map[string]string{spec.RoleMember: "bravo", spec.RoleReader: "tango", spec.RoleReferrer: "police", spec.RoleAuditor: "ngo"}
	kinds := map[uint64]bool{}
	for role, org := range signers {
		fresh := func() (*consortium, map[string]attempt) {
			c := found(t, func(p *spec.Policy) { p.Freeze = true },
				"alpha", "bravo", "charlie", "ngo auditor BE", "police referrer FR", "tango reader IE")
			return c, attempts(c, org)
		}
		_, all := fresh()
		for _, r := range rights[role] {
			if _, ok := all[r]; !ok {
				t.Fatalf("no operation tries to %s", r)
			}
		}
		for name, a := range all {
			kinds[a.body.Kind()] = true
			t.Run(fmt.Sprint(role, " may ", name), func(t *testing.T) {
				c, all := fresh()
				c.t = t
				a := all[name]
				if slices.Contains(rights[role], name) {
					c.do(org, a.body, a.opening)
				} else {
					c.refuse(spec.CodeRole, org, a.body, a.opening)
				}
			})
		}
	}
	for kind := spec.KindProposal; kind <= spec.KindAction; kind++ {
		if !kinds[kind] {
			t.Errorf("nobody tries a %s", spec.KindName(kind))
		}
	}
}

// TestThirtyMembersWithSevenSequencers founds a consortium whose raft is smaller
// than its electorate, and changes who the sequencers are by a case.
func TestThirtyMembersWithSevenSequencers(t *testing.T) {
	seven := []string{"m00", "m03", "m07", "m11", "m13", "m17", "m29"}
	c := found(t, func(p *spec.Policy) { p.Sequencers = seven }, memberLines(30)...)
	want := func(ids []string, k int) {
		t.Helper()
		got, err := governance.Sequencers(c.ledger)
		if err != nil {
			t.Fatal(err)
		}
		var p spec.Policy
		c.read(spec.PolicyKey, &p)
		if !slices.Equal(got, ids) || p.Finality(len(got)) != k {
			t.Fatalf("%v with k=%d, want %v with k=%d", got, p.Finality(len(got)), ids, k)
		}
	}
	want(seven, 5)
	c.refuse(spec.CodeRole, "m01", &spec.Ready{}, nil)
	c.do("m03", &spec.Ready{}, nil)
	id := c.propose("m20", "one") // a member that is no sequencer
	for i := 1; i < 16; i++ {
		c.wantCase(id, "open")
		c.vote(fmt.Sprintf("m%02d", i-1), id, spec.Approve)
	}
	c.wantCase(id, "accepted")
	p := c.genesis.Policy
	change := &spec.PolicyChange{Over: p.Digest(), Policy: p}
	change.Policy.Sequencers = []string{"m00", "m01", "m02", "m03"}
	id = c.do("m00", change, nil)
	for i := 1; i < 20; i++ {
		c.wantCase(id, "open")
		c.vote(fmt.Sprintf("m%02d", i), id, spec.Approve)
	}
	c.wantCase(id, "accepted")
	want(change.Policy.Sequencers, 3)
	if !c.read(spec.ReadyKey("m03"), new(spec.ReadyRecord)) {
		t.Fatal("a sequencer that stays one is no longer ready")
	}
	c.do("m01", &spec.Ready{}, nil)
	change.Over = change.Policy.Digest()
	change.Policy.Sequencers = []string{"m00", "m02", "m03"}
	c.carried("m00", 20, change)
	if c.read(spec.ReadyKey("m01"), new(spec.ReadyRecord)) {
		t.Fatal("one that is no sequencer is ready")
	}
	c.carried("m00", 20, &spec.Membership{Action: spec.ActionExpel, Org: "m03"})
	want([]string{"m00", "m02"}, 2)
	if c.read(spec.ReadyKey("m03"), new(spec.ReadyRecord)) {
		t.Fatal("one that was expelled is ready")
	}
}

// TestFinalityOfThirtyIsThatOfTheSeven moves log time by cosignatures of five of the
// seven sequencers, and by no others of the thirty members.
func TestFinalityOfThirtyIsThatOfTheSeven(t *testing.T) {
	seven := []string{"m00", "m03", "m07", "m11", "m13", "m17", "m29"}
	c := found(t, func(p *spec.Policy) { p.Sequencers = seven }, memberLines(30)...)
	c.propose("m20", "one")
	start := c.clock().TimeMS
	for _, x := range []struct {
		cosigned string
		moves    bool
	}{
		{"m00 m03 m07 m11", false},
		{"m00 m03 m07 m11 m20", false},
		{"m01 m02 m04 m05 m06", false},
		{"m00 m03 m07 m11 m13 m17", false}, // a tick carries exactly k
		{"m00 m07 m11 m17 m29", true},
	} {
		at := &spec.Timed{Size: c.ledger.Size(), Root: c.ledger.root()}
		for _, org := range strings.Fields(x.cosigned) {
			seat := spec.Seat{Org: org, Key: publicOf(org + " cosign")}
			at.Cosignatures = append(at.Cosignatures, cosign(c.genesis.Origin(), at, seat, start/1000+60))
		}
		before := c.ledger.Size()
		if _, err := governance.ApplyEntry(c.ledger, at, nil); err != nil {
			t.Fatal(err)
		}
		if moved := c.clock().TimeMS == start+60*second; moved != x.moves || (c.ledger.Size() > before) != x.moves {
			t.Errorf("cosigned by %s, log time moves: %v, want %v", x.cosigned, moved, x.moves)
		}
	}
}

// carried has the first members accept what one of them asks for.
func (c *consortium) carried(by string, need int, body spec.Body) {
	c.t.Helper()
	id := c.do(by, body, nil)
	for i := 0; i < 30; i++ {
		if k := c.wantCaseAny(id); !k.Open() {
			break
		}
		c.try(fmt.Sprintf("m%02d", i), &spec.Vote{Case: id, Choice: spec.Approve}, nil)
	}
	if k := c.wantCase(id, "accepted"); int(k.Yes) != need {
		c.t.Fatalf("accepted by %d, want %d", k.Yes, need)
	}
}

func (c *consortium) wantCaseAny(id spec.Hash) (k spec.Case) {
	c.t.Helper()
	if !c.read(spec.CaseKey(id), &k) {
		c.t.Fatal("there is no such case")
	}
	return k
}

// TestANineMemberConsortiumGrows leaves sequencers as they are beyond nine.
func TestANineMemberConsortiumGrows(t *testing.T) {
	c := found(t, nil, memberLines(9)...)
	id := c.enrol("m00", "a-tenth")
	for i := 1; i < 6; i++ {
		c.vote(fmt.Sprintf("m%02d", i), id, spec.Approve)
	}
	c.wantCase(id, "accepted")
	ids, err := governance.Sequencers(c.ledger)
	if err != nil || slices.Contains(ids, "a-tenth") || len(ids) != spec.MaxSequencers {
		t.Fatalf("sequencers %v, %v", ids, err)
	}
}
