// SPDX-License-Identifier: Apache-2.0

package api

import (
	"slices"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

func wirePolicy(p *spec.Policy) wire.Policy {
	out := wire.Policy{
		Version: int64(p.Version), Addition: wireRule(&p.Addition), Dispute: wireRule(&p.Dispute),
		Membership: wireRule(&p.Membership), Keys: wireRule(&p.Keys), Change: wireRule(&p.Change),
		Freeze: p.Freeze, OutsidePerDay: int64(p.OutsidePerDay), Sequencers: list(p.Sequencers), FinalityK: int64(p.FinalityK),
		Schemas: wireNumbers(p.Schemas),
	}
	u, c := &out.Urgent, &out.Clocks
	u.Approvals, u.SunsetMs, u.BarMs, u.PerDay = int64(p.Urgent.Approvals), int64(p.Urgent.SunsetMS), int64(p.Urgent.BarMS), int64(p.Urgent.PerDay)
	c.ReferralMs, c.MatchableMs = int64(p.Clocks.ReferralMS), int64(p.Clocks.MatchableMS)
	c.ActionMs, c.MarkMs = int64(p.Clocks.ActionMS), int64(p.Clocks.MarkMS)
	return out
}

func wireRule(r *spec.Rule) wire.Rule {
	fraction := func(f spec.Fraction) wire.Fraction {
		return wire.Fraction{Num: int64(f.Num), Den: int64(f.Den), Strict: f.Strict}
	}
	return wire.Rule{
		Threshold: fraction(r.Threshold), Quorum: fraction(r.Quorum), WindowMs: int64(r.WindowMS), ProposerCounts: r.ProposerCounts,
		Jurisdictions: int64(r.Jurisdictions), CooldownMs: int64(r.CooldownMS), PerDay: int64(r.PerDay),
	}
}

// A counter reads numbers that are not negative and remembers whether one was.
type counter struct{ bad bool }

func (c *counter) of(n int64) uint64 {
	c.bad = c.bad || n < 0
	return uint64(n)
}

// policyOf reads a policy. Sequencers may come in any order.
func policyOf(w *wire.Policy) (*spec.Policy, error) {
	c := new(counter)
	p := &spec.Policy{
		Version: c.of(w.Version), Addition: c.rule(&w.Addition), Dispute: c.rule(&w.Dispute),
		Membership: c.rule(&w.Membership), Keys: c.rule(&w.Keys), Change: c.rule(&w.Change),
		Urgent: spec.Urgency{
			Approvals: c.of(w.Urgent.Approvals), SunsetMS: c.of(w.Urgent.SunsetMs), BarMS: c.of(w.Urgent.BarMs), PerDay: c.of(w.Urgent.PerDay),
		},
		Freeze: w.Freeze, OutsidePerDay: c.of(w.OutsidePerDay),
		Clocks: spec.Clocks{
			ReferralMS: c.of(w.Clocks.ReferralMs), MatchableMS: c.of(w.Clocks.MatchableMs), ActionMS: c.of(w.Clocks.ActionMs), MarkMS: c.of(w.Clocks.MarkMs),
		},
		Sequencers: slices.Compact(slices.Sorted(slices.Values(w.Sequencers))), FinalityK: c.of(w.FinalityK),
	}
	for _, v := range w.Schemas {
		p.Schemas = append(p.Schemas, c.of(v))
	}
	if c.bad {
		return nil, wire.At("/policy", spec.Errorf(spec.CodePolicy, "no number of a policy is negative"))
	}
	return p, wire.At("/policy", p.Check())
}

func (c *counter) rule(w *wire.Rule) spec.Rule {
	fraction := func(f wire.Fraction) spec.Fraction {
		return spec.Fraction{Num: c.of(f.Num), Den: c.of(f.Den), Strict: f.Strict}
	}
	return spec.Rule{
		Threshold: fraction(w.Threshold), Quorum: fraction(w.Quorum), WindowMS: c.of(w.WindowMs), ProposerCounts: w.ProposerCounts,
		Jurisdictions: c.of(w.Jurisdictions), CooldownMS: c.of(w.CooldownMs), PerDay: c.of(w.PerDay),
	}
}
