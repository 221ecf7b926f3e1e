// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"fmt"

	"github.com/tocsin-db/tocsin/spec"
)

// Explain says in sentences what a case is about, why it stands where it stands,
// and what it still needs. It refuses with UNKNOWN_CASE.
func Explain(st State, id spec.Hash) ([]string, error) {
	v := newView(st)
	c := new(spec.Case)
	found, err := load(v, spec.CaseKey(id), c)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, spec.Errorf(spec.CodeCase, "no case has this id")
	}
	e := &explanation{v: v, id: id, c: c}
	steps := []func() error{e.subject, e.outcome}
	if c.Open() {
		steps = []func() error{e.subject, e.votes, e.needs, e.items, e.waits}
	}
	for _, step := range append(steps, e.doubts) {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return e.said, nil
}

type explanation struct {
	v    *view
	id   spec.Hash
	c    *spec.Case
	said []string
}

func (e *explanation) say(format string, args ...any) {
	e.said = append(e.said, fmt.Sprintf(format, args...))
}

// subject says who asks for what.
func (e *explanation) subject() error {
	body, err := Content(e.v, e.id, e.c)
	if err != nil {
		return err
	}
	switch b := body.(type) {
	case *spec.Proposal:
		e.proposal(b)
	case *spec.Dispute:
		what := "the whole entry"
		if n := len(b.Signals); n > 0 {
			what = numbered(n, "signal") + " of it"
		}
		e.say("%s entry %s, %s, for the reason %q.", e.opener("disputes"), e.c.Entry, what, e.c.Reason)
	case *spec.Membership:
		if b.Action == spec.ActionEnrol {
			e.say("%s %s as a %s%s.", e.opener("asks to enrol"), b.Org, b.Card[0].Role, ofTier(b.Tier))
		} else if b.Action == spec.ActionExpel {
			e.say("%s %s.", e.opener("asks to expel"), b.Org)
		} else if b.Action == spec.ActionTier {
			e.say("%s the tier of %s to %s.", e.opener("asks to change"), b.Org, b.Tier)
		} else {
			e.say("%s asks to leave.", b.Org)
		}
	case *spec.KeyChange:
		e.keys(b)
	default:
		e.say("%s the %s.", e.opener("asks to change"), e.c.Reason)
	}
	return nil
}

func ofTier(tier string) string {
	if tier == spec.TierFull {
		return ""
	}
	return " of the " + tier + " tier"
}

func (e *explanation) opener(does string) string {
	if e.c.Org == "" {
		return "A decision that a revoked key took part in " + does
	}
	return e.c.Org + " " + does
}

func (e *explanation) proposal(p *spec.Proposal) {
	urgent := ""
	if p.Urgency == spec.Urgent {
		urgent = "urgently "
	}
	e.say("%s to list %s with %s, on the ground %q.", e.opener(urgent+"proposes"), numbered(len(p.Items), "item"), numbered(p.Signals(), "signal"), p.Basis)
	for i := range p.Referral {
		r := &p.Referral[i]
		e.say("It is a %s of %s on the legal basis %q.", [...]string{"", "referral", "removal order", "national order"}[r.Form], r.State, r.Basis)
	}
}

func (e *explanation) keys(k *spec.KeyChange) {
	use := [...]string{"", "op", "cosign", "transport"}[k.Use]
	switch {
	case len(k.Old) == 0:
		e.say("%s a new %s key for %s, for the reason %q.", e.opener("asks for"), use, k.Org, k.Reason)
	case len(k.New) == 0:
		e.say("%s an %s key of %s, for the reason %q.", e.opener("asks to revoke"), use, k.Org, k.Reason)
	default:
		e.say("%s an %s key of %s by a new one, for the reason %q.", e.opener("asks to replace"), use, k.Org, k.Reason)
	}
	if k.Since != 0 {
		e.say("What the old key signed from log index %d on is put to a new vote.", k.Since)
	}
}

// votes says how the votes stand and who is missing.
func (e *explanation) votes() error {
	c := e.c
	e.say("It is open: %d approve, %d reject, %d abstain.", c.Yes, c.No, c.Abstain)
	missing, err := silent(e.v, e.id, c)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		e.say("Not yet voted: %s.", listed(missing))
	}
	for _, org := range c.Excluded {
		if c.Kind == spec.KindDispute {
			e.say("%s does not vote: the entry is its own.", org)
		} else {
			e.say("%s does not vote: the case is about it.", org)
		}
	}
	return nil
}

// needs says what is missing for a decision.
func (e *explanation) needs() error {
	c := e.c
	e.say("It needs %s of %s; %s.", numbered(int(c.Need), "approval"), numbered(int(c.Base), "member"), more(c.Need, c.Yes))
	if !quorate(c) {
		e.say("It needs %d votes in all, abstentions included; it has %d.", c.Rule.Quorum.Of(int(c.Base)), c.Yes+c.No+c.Abstain)
	}
	if c.Rule.Jurisdictions > 1 {
		t, err := detail(e.v, e.id, c)
		if err != nil {
			return err
		}
		e.say("Those who approve must sit in %d jurisdictions; they sit in %d.", c.Rule.Jurisdictions, t.jurisdictions)
	}
	if c.Kind == spec.KindDispute {
		e.say("If all have voted, a tie retracts.")
	}
	return nil
}

func more(need, have uint64) string {
	if have >= need {
		return "it has them"
	}
	return fmt.Sprintf("%d more", need-have)
}

// items says which items stand differently from the rest.
func (e *explanation) items() error {
	if !e.c.PerItem {
		return nil
	}
	t, err := detail(e.v, e.id, e.c)
	if err != nil {
		return err
	}
	var a spec.Admission
	if _, err := load(e.v, spec.AdmissionKey(e.id), &a); err != nil {
		return err
	}
	for _, f := range a.Findings {
		e.say("Item %d: %s, %s.", f.Item, numbered(int(f.Count), "signal"), spec.FindingName(f.What))
	}
	for i := range t.held {
		if t.held[i] {
			e.say("Item %d is held: only approvals that override this count for it, %d so far.", i, t.approved[i])
		} else if t.approved[i] < e.c.Yes {
			e.say("Item %d has %d of %s: the others leave it out.", i, t.approved[i], numbered(int(e.c.Yes), "approval"))
		}
	}
	return nil
}

// waits says what time will do.
func (e *explanation) waits() error {
	clock, err := e.v.clock()
	if err != nil {
		return err
	}
	c, now := e.c, clock.TimeMS
	if cool := c.OpenedMS + c.Rule.CooldownMS; cool > now {
		e.say("Nothing is accepted sooner than in %s.", duration(cool-now))
	}
	if c.ReplyMS != 0 && c.Stage == 0 {
		e.say("The referral asks for a decision %s.", within(c.ReplyMS, now))
	}
	if c.Stage > 0 {
		e.say("It is overdue%s.", [...]string{"", ", which was noticed", ", which was noticed and marked"}[c.Stage])
	}
	switch {
	case c.Kind != spec.KindDispute:
		e.say("It lapses %s%s.", within(c.DeadlineMS, now), e.provisional())
	case c.Stage > 0:
		e.say("What is disputed is suspended until it is ruled on.")
	default:
		return e.disputeWaits(now)
	}
	return nil
}

func (e *explanation) provisional() string {
	if e.c.Urgent == 0 {
		return ""
	}
	return fmt.Sprintf(", and until then an item matches provisionally while %s approve it", numbered(int(e.c.Urgent), "organisation"))
}

func (e *explanation) disputeWaits(now uint64) error {
	seconded, err := behind(e.v, e.c)
	if err != nil {
		return err
	}
	if seconded {
		e.say("What is disputed is suspended if no one has ruled %s.", within(e.c.DeadlineMS, now))
	} else {
		e.say("It lapses %s unless a member stands behind it.", within(e.c.DeadlineMS, now))
	}
	return nil
}

// outcome says how the case ended.
func (e *explanation) outcome() error {
	c := e.c
	switch c.Outcome {
	case spec.OutcomeAccepted:
		e.say("It was accepted: %d approve, %d reject, %d abstain; %s needed.", c.Yes, c.No, c.Abstain, numbered(int(c.Need), "approval"))
		return e.result()
	case spec.OutcomeRejected:
		if c.Yes >= c.Need {
			e.say("It was rejected: %d approve, %d reject, %d abstain; all have voted, and the rule asks for more than their number.", c.Yes, c.No, c.Abstain)
			return nil
		}
		e.say("It was rejected: %d approve, %d reject, %d abstain, so that %s could not be had any more.", c.Yes, c.No, c.Abstain, numbered(int(c.Need), "approval"))
	case spec.OutcomeLapsed:
		e.say("It lapsed: %d of %s when its time was over.", c.Yes, numbered(int(c.Need), "approval"))
	case spec.OutcomeWithdrawn:
		e.say("%s withdrew it.", c.Org)
	case spec.OutcomeMoot:
		e.say("It is moot: what it asks for can no longer be done.")
	}
	return nil
}

// result says what became of the items of an accepted addition.
func (e *explanation) result() error {
	if e.c.Kind != spec.KindProposal {
		return nil
	}
	var counts [6]int
	for i := range int(e.c.Items) {
		var x spec.Entry
		found, err := load(e.v, spec.EntryKey(spec.EntryID(e.id, i)), &x)
		if err != nil {
			return err
		}
		if !found {
			e.say("Item %d was left out.", i)
		}
		counts[x.State]++
	}
	for state := spec.StateActive; state <= spec.StateRetracted; state++ {
		if counts[state] > 0 {
			e.say("%s %s now.", numbered(counts[state], "entry is", "entries are"), spec.StateName(state))
		}
	}
	return nil
}

func (e *explanation) doubts() error {
	if e.c.Doubted {
		e.say("A key that was revoked later took part in it; what it did is put to a new vote.")
	}
	return nil
}
