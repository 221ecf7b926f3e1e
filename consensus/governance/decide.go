// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"fmt"

	"github.com/tocsin-db/tocsin/spec"
)

// conclude closes a case with its Decision leaf and carries the outcome out. What
// was accepted but cannot be done any more is moot.
func conclude(v *view, id spec.Hash, c *spec.Case, outcome uint64, excluded []byte) error {
	if outcome == spec.OutcomeAccepted {
		err := possible(v, id, c)
		if err != nil && spec.CodeOf(err) == "" {
			return err
		}
		if err != nil {
			outcome, excluded = spec.OutcomeMoot, nil
		}
	}
	if err := close(v, id, c, outcome, excluded); err != nil {
		return err
	}
	switch c.Kind {
	case spec.KindProposal:
		return concludeAddition(v, id, c, excluded)
	case spec.KindDispute:
		return concludeDispute(v, id, c)
	}
	if c.Kind == spec.KindMembership {
		if err := concludePending(v, id, c); err != nil {
			return err
		}
	}
	if c.Outcome != spec.OutcomeAccepted {
		return nil
	}
	return carry(v, id, c)
}

// carry does what an accepted case about organisations or rules asked for.
func carry(v *view, id spec.Hash, c *spec.Case) error {
	switch c.Kind {
	case spec.KindMembership:
		return concludeMembership(v, id, c)
	case spec.KindKey:
		return concludeKey(v, id, c)
	case spec.KindPolicy:
		return concludePolicy(v, id)
	case spec.KindTaxonomy:
		return concludeTaxonomy(v, id)
	case spec.KindAllow:
		return concludeAllow(v, id)
	}
	return fmt.Errorf("%w: a case of kind %d", ErrState, c.Kind)
}

// possible refuses with a code what can no longer be done.
func possible(v *view, id spec.Hash, c *spec.Case) error {
	switch c.Kind {
	case spec.KindMembership:
		m, err := content(v, id, new(spec.Membership))
		if err != nil {
			return err
		}
		return membershipPossible(v, m)
	case spec.KindKey:
		k, err := content(v, id, new(spec.KeyChange))
		if err != nil {
			return err
		}
		return keyPossible(v, k)
	case spec.KindPolicy:
		p, err := content(v, id, new(spec.PolicyChange))
		if err != nil {
			return err
		}
		return policyPossible(v, p)
	case spec.KindTaxonomy:
		t, err := content(v, id, new(spec.TaxonomyChange))
		if err != nil {
			return err
		}
		return taxonomyPossible(v, t)
	case spec.KindAllow:
		a, err := content(v, id, new(spec.AllowChange))
		if err != nil {
			return err
		}
		return allowPossible(v, a)
	}
	return nil
}

// close writes the decision.
func close(v *view, id spec.Hash, c *spec.Case, outcome uint64, excluded []byte) error {
	clock, err := v.clock()
	if err != nil {
		return err
	}
	index, err := v.derive(&spec.Decision{
		Tag: spec.TagDecision, Case: id, Outcome: outcome,
		Yes: c.Yes, No: c.No, Abstain: c.Abstain, Excluded: excluded, Policy: c.Policy,
	})
	if err != nil {
		return err
	}
	if c.DueMS != 0 {
		v.delete(spec.DueKey(c.DueMS, id))
	}
	c.Outcome, c.Decided, c.DecidedMS, c.DueMS = outcome, index, clock.TimeMS, 0
	v.set(spec.DecidedKey(index), id[:])
	return v.put(spec.CaseKey(id), c)
}
