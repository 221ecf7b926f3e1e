// SPDX-License-Identifier: Apache-2.0

package spec

import "crypto/sha256"

// Durations that bound a policy, in milliseconds.
const (
	second = 1000
	hour   = 3600 * second
	day    = 24 * hour
)

// A Fraction says how many of n are needed.
type Fraction struct {
	_      struct{} `cbor:",toarray"`
	Num    uint64
	Den    uint64
	Strict bool // more than, rather than at least, the fraction
}

// Of returns the smallest number that satisfies the fraction of n.
func (f Fraction) Of(n int) int {
	x := uint64(n) * f.Num
	if f.Strict {
		return int(x/f.Den) + 1
	}
	return int((x + f.Den - 1) / f.Den)
}

func (f Fraction) check() error {
	if f.Den == 0 || f.Den > 1000 || f.Num == 0 || f.Num > f.Den || f.Strict && f.Num == f.Den {
		return Errorf(CodePolicy, "a threshold is a fraction above 0 that can be reached")
	}
	return nil
}

// A Rule says how cases of one kind are decided.
type Rule struct {
	_              struct{} `cbor:",toarray"`
	Threshold      Fraction // approvals needed, of the members that count
	Quorum         Fraction // votes needed, abstentions too; Num 0: none
	WindowMS       uint64   // the case lapses this long after it opened
	ProposerCounts bool     // opening the case is an approval
	Jurisdictions  uint64   // in how many of them those that approve must sit, 0: any
	CooldownMS     uint64   // nothing is accepted sooner than this after it opened, 0: at once
	PerDay         uint64   // cases that one organisation may open in a day, 0: any number
}

func (r *Rule) check() error {
	if r.WindowMS < second || r.WindowMS > 366*day {
		return Errorf(CodePolicy, "a window is between one second and a year")
	}
	if r.CooldownMS >= r.WindowMS {
		return Errorf(CodePolicy, "a cool-down ends before the window does")
	}
	if r.Jurisdictions > MaxOrganisations {
		return Errorf(CodePolicy, "there are not so many jurisdictions")
	}
	if r.Quorum.Num != 0 {
		if err := r.Quorum.check(); err != nil {
			return err
		}
	} else if r.Quorum != (Fraction{}) {
		return Errorf(CodePolicy, "no quorum is written 0/0")
	}
	return r.Threshold.check()
}

// Urgency says when an urgent addition matches before it is decided.
type Urgency struct {
	_         struct{} `cbor:",toarray"`
	Approvals uint64   // organisations that list it provisionally
	SunsetMS  uint64   // it ends by itself this long after it opened
	BarMS     uint64   // how long the approvers of one that lapsed may not be urgent
	PerDay    uint64   // urgent additions that one organisation may open in a day, 0: any number
}

// Clocks say by when things are due, in milliseconds of log time; 0: never.
type Clocks struct {
	_           struct{} `cbor:",toarray"`
	ReferralMS  uint64   // a referral that names no earlier time is decided
	MatchableMS uint64   // members confirm that they applied a decision
	ActionMS    uint64   // a platform acts on a match
	MarkMS      uint64   // from a notice to the mark on the public record
}

// MaxSequencers bounds the raft voters of a consortium.
const MaxSequencers = 9

// A Policy is the set of rules in force. Only a case changes it.
type Policy struct {
	_             struct{} `cbor:",toarray"`
	Version       uint64
	Addition      Rule
	Dispute       Rule
	Membership    Rule // enrolment, expulsion, leave
	Keys          Rule // key changes
	Change        Rule // of policy, taxonomy and allow-list
	Urgent        Urgency
	Freeze        bool   // a member's dispute may suspend an entry at once
	OutsidePerDay uint64 // disputes or referrals that one organisation without a vote may file in a day, 0: any number
	Clocks        Clocks
	Sequencers    []string // sorted ids of members; none: all, up to nine, in the order of their enrolment
	FinalityK     uint64   // cosignatures that make a checkpoint final, 0: the least that is safe
	Schemas       []uint64 // versions of operations that are taken, ascending
}

// PolicyVersion is the version of the policy described here.
const PolicyVersion = 1

// DefaultPolicy is what a consortium starts from.
func DefaultPolicy() Policy {
	majority, twoThirds := Fraction{Num: 1, Den: 2, Strict: true}, Fraction{Num: 2, Den: 3}
	rule := func(f Fraction, window uint64) Rule {
		return Rule{Threshold: f, WindowMS: window, ProposerCounts: true}
	}
	p := Policy{
		Version: PolicyVersion, Addition: rule(majority, 72*hour), Dispute: rule(majority, 7*day),
		Membership: rule(twoThirds, 7*day), Keys: rule(twoThirds, 7*day), Change: rule(twoThirds, 7*day),
		Urgent:        Urgency{Approvals: 2, SunsetMS: 24 * hour, BarMS: 30 * day},
		OutsidePerDay: 100,
		Clocks:        Clocks{ReferralMS: 2 * hour, MatchableMS: 1 * hour, ActionMS: 1 * hour, MarkMS: 24 * hour},
		Schemas:       []uint64{OpVersion},
	}
	p.Dispute.PerDay = 1000
	return p
}

// Check refuses a policy under which cases could never be decided.
func (p *Policy) Check() error {
	if p.Version != PolicyVersion {
		return Errorf(CodeVersion, "policy version %d is not known here", p.Version)
	}
	for _, r := range []*Rule{&p.Addition, &p.Dispute, &p.Membership, &p.Keys, &p.Change} {
		if err := r.check(); err != nil {
			return err
		}
	}
	if p.Urgent.Approvals == 0 || p.Urgent.SunsetMS < second || p.Urgent.SunsetMS > 366*day || p.Urgent.BarMS > 3660*day {
		return Errorf(CodePolicy, "an urgent addition needs at least one approval and ends within a year")
	}
	if max(p.Clocks.ReferralMS, p.Clocks.MatchableMS, p.Clocks.ActionMS, p.Clocks.MarkMS) > 366*day {
		return Errorf(CodePolicy, "a clock runs for at most a year")
	}
	if len(p.Schemas) == 0 || len(p.Schemas) > 16 {
		return Errorf(CodePolicy, "1 to 16 versions of operations are taken")
	}
	for i, v := range p.Schemas {
		if v != OpVersion || i > 0 {
			return Errorf(CodeVersion, "operations of version %d are not known here", v)
		}
	}
	return p.checkSequencers()
}

func (p *Policy) checkSequencers() error {
	if len(p.Sequencers) > MaxSequencers {
		return Errorf(CodePolicy, "there are at most %d sequencers", MaxSequencers)
	}
	for i, id := range p.Sequencers {
		if !orgID.MatchString(id) || i > 0 && p.Sequencers[i-1] >= id {
			return Errorf(CodePolicy, "sequencers are ids of members, sorted, each once")
		}
	}
	if p.FinalityK > MaxSequencers || len(p.Sequencers) > 0 && p.FinalityK > uint64(len(p.Sequencers)) {
		return Errorf(CodePolicy, "there are not so many sequencers as have to cosign")
	}
	if p.FinalityK != 0 && len(p.Sequencers) == 0 || p.FinalityK != 0 && 2*p.FinalityK <= uint64(len(p.Sequencers)) {
		return Errorf(CodePolicy, "more than half of named sequencers have to cosign")
	}
	return nil
}

// Finality returns how many of n sequencers make a checkpoint final: what the
// policy says, else the least that is safe.
func (p *Policy) Finality(n int) int {
	switch {
	case p.FinalityK != 0:
		return int(p.FinalityK)
	case n >= 4:
		return 2*n/3 + 1
	}
	return n/2 + 1
}

// RuleOf returns the rule for cases that operations of this kind open.
func (p *Policy) RuleOf(kind uint64) Rule {
	switch kind {
	case KindProposal:
		return p.Addition
	case KindDispute:
		return p.Dispute
	case KindMembership:
		return p.Membership
	case KindKey:
		return p.Keys
	}
	return p.Change
}

// Digest names the policy in the decisions made under it.
func (p *Policy) Digest() Hash { return sha256.Sum256(mustEncode(p)) }
