// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// membership opens a case on who takes part.
func membership(v *view, op *spec.Signed, m *spec.Membership) error {
	if err := membershipPossible(v, m); err != nil {
		return err
	}
	pending := spec.PendingKey(m.Action, m.Org)
	if b, err := v.Record(pending); err != nil {
		return err
	} else if b != nil {
		return spec.Errorf(spec.CodePending, "an open case asks for the same: vote on it")
	}
	c := spec.Case{Reason: [...]string{"", "enrol", "expel", "leave", "tier"}[m.Action], Subject: m.Org}
	if m.Action != spec.ActionEnrol {
		var err error
		if c.Excluded, err = ifMember(v, m.Org); err != nil {
			return err
		}
	}
	if err := openQuota(v, op); err != nil {
		return err
	}
	v.set(pending, op.ID[:])
	return open(v, op, &c)
}

// openQuota counts a case against the daily number of its rule.
func openQuota(v *view, op *spec.Signed) error {
	policy, err := v.policy()
	if err != nil {
		return err
	}
	return quota(v, byte(op.Op.Kind), policy.RuleOf(op.Op.Kind).PerDay)
}

// ifMember names an organisation that a case is about, if it is a member: it
// counts among all and does not vote.
func ifMember(v *view, org string) ([]string, error) {
	var who spec.OrgRecord
	found, err := load(v, spec.OrgKey(org), &who)
	if err != nil || !found || who.Organisation.Role != spec.RoleMember {
		return nil, err
	}
	return []string{org}, nil
}

func membershipPossible(v *view, m *spec.Membership) error {
	if m.Action == spec.ActionEnrol {
		return enrollable(v, &m.Card[0])
	}
	var who spec.OrgRecord
	found, err := load(v, spec.OrgKey(m.Org), &who)
	switch {
	case err != nil:
		return err
	case !found:
		return spec.Errorf(spec.CodeOrg, "no organisation of this id is enrolled")
	case m.Action != spec.ActionTier:
		return nil
	case who.Tier == m.Tier:
		return spec.Errorf(spec.CodeEnrolled, "the organisation has this tier")
	}
	return spec.CheckTier(who.Organisation.Role, m.Tier)
}

// enrollable refuses an organisation whose id or one of whose keys is or was
// enrolled.
func enrollable(v *view, o *spec.Organisation) error {
	for _, key := range [][]byte{spec.OrgKey(o.ID), spec.FormerKey(o.ID)} {
		if b, err := v.Record(key); err != nil {
			return err
		} else if b != nil {
			return spec.Errorf(spec.CodeEnrolled, "an organisation of this id is or was enrolled")
		}
	}
	return unused(v, o.OpKey, o.CosignKey, o.Libp2pKey)
}

// unused refuses keys that any organisation has, had as an op key, cosigned with on a
// panel, or had when it left.
func unused(v *view, keys ...spec.PublicKey) error {
	clash := false
	look := func(r *spec.OrgRecord) {
		o := &r.Organisation
		for _, list := range [][]spec.PublicKey{{o.OpKey, o.CosignKey, o.Libp2pKey}, r.More, r.Revoked} {
			for _, k := range list {
				clash = clash || slices.Contains(keys, k)
			}
		}
	}
	if err := organisations(v, look); err != nil {
		return err
	}
	f := new(spec.FormerRecord)
	err := each(v, spec.FormerPrefix, f, func() { *f = spec.FormerRecord{} }, func([]byte) (bool, error) {
		look(&f.Enrolled)
		return true, nil
	})
	if err != nil {
		return err
	}
	var p spec.PanelRecord
	err = each(v, spec.PanelPrefix, &p, func() { p = spec.PanelRecord{} }, func([]byte) (bool, error) {
		for _, s := range p.Panel.Seats {
			clash = clash || slices.Contains(keys, s.Key)
		}
		return !clash, nil
	})
	if err == nil && clash {
		return spec.Errorf(spec.CodeEnrolled, "one of these keys is or was an enrolled organisation's")
	}
	return err
}

func concludePending(v *view, id spec.Hash, _ *spec.Case) error {
	m, err := content(v, id, new(spec.Membership))
	if err != nil {
		return err
	}
	v.delete(spec.PendingKey(m.Action, m.Org))
	return nil
}

// concludeMembership enrols or removes the organisation, or changes its tier, and
// begins a new epoch.
func concludeMembership(v *view, id spec.Hash, c *spec.Case) error {
	m, err := content(v, id, new(spec.Membership))
	if err != nil {
		return err
	}
	switch m.Action {
	case spec.ActionExpel, spec.ActionLeave:
		return depart(v, m, c.Decided)
	case spec.ActionTier:
		return retier(v, m)
	}
	clock, err := v.clock()
	if err != nil {
		return err
	}
	clock.Epoch++
	if m.Card[0].Role == spec.RoleMember {
		clock.Members++
		clock.Turn = spec.Turned
	}
	if err := v.setClock(); err != nil {
		return err
	}
	return v.put(spec.OrgKey(m.Org), &spec.OrgRecord{Organisation: m.Card[0], Since: c.Decided, Tier: m.Tier})
}

// retier changes the tier of an organisation.
func retier(v *view, m *spec.Membership) error {
	var who spec.OrgRecord
	if err := need(v, spec.OrgKey(m.Org), &who); err != nil {
		return err
	}
	clock, err := v.clock()
	if err != nil {
		return err
	}
	clock.Epoch++
	if err := v.setClock(); err != nil {
		return err
	}
	who.Tier = m.Tier
	return v.put(spec.OrgKey(m.Org), &who)
}
