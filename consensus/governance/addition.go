// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"github.com/tocsin-db/tocsin/spec"
)

// propose opens an addition.
func propose(v *view, op *spec.Signed, p *spec.Proposal, b *Beside) error {
	policy, err := v.policy()
	if err != nil {
		return err
	}
	clock, err := v.clock()
	if err != nil {
		return err
	}
	if err := proposalQuota(v, p, policy); err != nil {
		return err
	}
	if err := checkLabels(v, p); err != nil {
		return err
	}
	c := spec.Case{Reason: p.Basis, Items: uint64(len(p.Items)), Signals: uint64(p.Signals())}
	if p.Urgency == spec.Urgent {
		if err := notBarred(v, op.Op.Org, clock); err != nil {
			return err
		}
		c.Urgent = policy.Urgent.Approvals
	}
	c.ReplyMS = replyBy(p, policy, clock)
	if c.PerItem, err = examine(v, op.ID, p, b); err != nil {
		return err
	}
	return open(v, op, &c)
}

// proposalQuota counts the proposal against what its organisation may open today.
func proposalQuota(v *view, p *spec.Proposal, policy *spec.Policy) error {
	switch {
	case v.who.Organisation.Role != spec.RoleMember:
		return quota(v, quotaOutside, policy.OutsidePerDay)
	case p.Urgency == spec.Urgent:
		return quota(v, quotaUrgent, policy.Urgent.PerDay)
	}
	return quota(v, byte(spec.KindProposal), policy.Addition.PerDay)
}

// checkLabels refuses labels that claim to be of the taxonomy and are not, or no
// longer.
func checkLabels(v *view, p *spec.Proposal) error {
	var terms *spec.Taxonomy
	for i := range p.Items {
		for _, l := range p.Items[i].Labels {
			if !spec.IsTerm(l) {
				continue
			}
			if terms == nil {
				terms = new(spec.Taxonomy)
				if err := need(v, spec.TaxonomyKey, terms); err != nil {
					return err
				}
			}
			if t, ok := terms.Find(l); !ok || !t.Active {
				return spec.Errorf(spec.CodeLabel, "item %d has a label that is no active term of the taxonomy", i)
			}
		}
	}
	return nil
}

// replyBy is the log time by which a referral is to be decided: what it asks for,
// or what the policy says if that is sooner.
func replyBy(p *spec.Proposal, policy *spec.Policy, clock *spec.Clock) uint64 {
	if len(p.Referral) == 0 {
		return 0
	}
	by := p.Referral[0].DeadlineMS
	if own := policy.Clocks.ReferralMS; own != 0 && (by == 0 || clock.TimeMS+own < by) {
		by = clock.TimeMS + own
	}
	return by
}

// concludeAddition confirms the accepted items and ends what was listed of the
// others.
func concludeAddition(v *view, id spec.Hash, c *spec.Case, excluded []byte) error {
	accepted := c.Outcome == spec.OutcomeAccepted
	if !accepted && c.Urgent == 0 {
		return nil
	}
	p, err := content(v, id, new(spec.Proposal))
	if err != nil {
		return err
	}
	listed := false
	for i, first := 0, 0; i < len(p.Items); i++ {
		e, found, err := entryOf(v, id, c, p, i, first)
		if err != nil {
			return err
		}
		listed = listed || found
		first += int(e.Count)
		if accepted && (excluded == nil || excluded[i/8]&(1<<(i%8)) == 0) {
			err = confirm(v, id, i, e, c.Decided)
		} else if found {
			err = retract(v, spec.EntryID(id, i), e, c.Decided)
		}
		if err != nil {
			return err
		}
	}
	if accepted {
		return await(v, c)
	}
	if c.Outcome == spec.OutcomeLapsed || c.Outcome == spec.OutcomeWithdrawn && listed {
		return barApprovers(v, id, c)
	}
	return nil
}

// entryOf returns the entry of an item, or what it would be.
func entryOf(v *view, id spec.Hash, c *spec.Case, p *spec.Proposal, i, first int) (*spec.Entry, bool, error) {
	e := &spec.Entry{
		Case: id, Item: uint64(i), Org: c.Org, Labels: p.Items[i].Labels,
		Counts: p.Items[i].Counts, First: uint64(first), Count: uint64(p.Items[i].Signals()),
	}
	if c.Urgent == 0 {
		return e, false, nil
	}
	found, err := load(v, spec.EntryKey(spec.EntryID(id, i)), e)
	return e, found, err
}

// confirm makes an accepted item an entry for good. One that a dispute retracted
// meanwhile stays retracted (stateOf).
func confirm(v *view, id spec.Hash, i int, e *spec.Entry, since uint64) error {
	e.Confirmed, e.Sunset = true, 0
	return setEntry(v, spec.EntryID(id, i), e, since)
}
