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
		return Errorf(CodeGenesis, "a threshold is a fraction above 0 that can be reached")
	}
	return nil
}

// A Rule says how cases of one kind are decided.
type Rule struct {
	_              struct{} `cbor:",toarray"`
	Threshold      Fraction // of the electorate
	WindowMS       uint64   // the case lapses this long after it opened, in log time
	ProposerCounts bool     // opening the case is an approval
}

func (r Rule) check() error {
	if r.WindowMS < second || r.WindowMS > 366*day {
		return Errorf(CodeGenesis, "a window is between one second and a year")
	}
	return r.Threshold.check()
}

// A Policy is the set of rules in force. Only a case changes it.
type Policy struct {
	_          struct{} `cbor:",toarray"`
	Version    uint64
	Addition   Rule
	Dispute    Rule
	Membership Rule
}

// PolicyVersion is the version of the policy described here.
const PolicyVersion = 1

// DefaultPolicy is what a consortium starts from: additions by a majority in 72
// hours, disputes by a majority in 7 days, membership by two thirds in 7 days.
func DefaultPolicy() Policy {
	majority := Fraction{Num: 1, Den: 2, Strict: true}
	return Policy{
		Version:    PolicyVersion,
		Addition:   Rule{Threshold: majority, WindowMS: 72 * hour, ProposerCounts: true},
		Dispute:    Rule{Threshold: majority, WindowMS: 7 * day, ProposerCounts: true},
		Membership: Rule{Threshold: Fraction{Num: 2, Den: 3}, WindowMS: 7 * day, ProposerCounts: true},
	}
}

// Check refuses a policy under which cases could never be decided.
func (p *Policy) Check() error {
	if p.Version != PolicyVersion {
		return Errorf(CodeVersion, "policy version %d is not known here", p.Version)
	}
	for _, r := range []Rule{p.Addition, p.Dispute, p.Membership} {
		if err := r.check(); err != nil {
			return err
		}
	}
	return nil
}

// Digest names the policy in the decisions made under it.
func (p *Policy) Digest() Hash { return sha256.Sum256(mustEncode(p)) }
