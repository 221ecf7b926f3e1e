// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// propose opens an addition.
func propose(v *view, op *spec.Signed, p *spec.Proposal) error {
	voters, err := members(v)
	if err != nil {
		return err
	}
	c := spec.Case{Reason: p.Basis, Items: p.Items, Root: p.Root, Electorate: voters, Base: uint64(len(voters))}
	return open(v, op, &c, func(p *spec.Policy) spec.Rule { return p.Addition })
}

// dispute opens a case against an entry and flags the entry at once. The
// organisation that proposed the entry does not rule on it.
func dispute(v *view, op *spec.Signed, d *spec.Dispute) error {
	var e spec.Entry
	found, err := load(v, spec.EntryKey(d.Entry), &e)
	if err != nil {
		return err
	}
	if !found {
		return spec.Errorf(spec.CodeEntry, "no entry has this id")
	}
	if e.State == spec.StateRetracted {
		return spec.Errorf(spec.CodeEntryState, "the entry is retracted already")
	}
	if !e.Dispute.IsZero() {
		return spec.Errorf(spec.CodeDisputed, "a dispute against the entry is open: vote on its case")
	}
	voters, err := members(v)
	if err != nil {
		return err
	}
	voters = slices.DeleteFunc(voters, func(id string) bool { return id == e.Org })
	c := spec.Case{Reason: d.Reason, Entry: d.Entry, Electorate: voters, Base: uint64(len(voters))}
	e.Dispute = op.ID
	if err := setEntry(v, d.Entry, &e, spec.StateDisputed, v.leaf-1); err != nil {
		return err
	}
	return open(v, op, &c, func(p *spec.Policy) spec.Rule { return p.Dispute })
}

// enrol opens a case on a new organisation.
func enrol(v *view, op *spec.Signed, m *spec.Membership) error {
	if err := enrollable(v, &m.Organisation); err != nil {
		return err
	}
	voters, err := members(v)
	if err != nil {
		return err
	}
	c := spec.Case{Reason: "enrol", Enrol: []spec.Organisation{m.Organisation}, Electorate: voters, Base: uint64(len(voters))}
	return open(v, op, &c, func(p *spec.Policy) spec.Rule { return p.Membership })
}

// enrollable refuses an organisation whose id or one of whose keys is enrolled,
// or whose role cannot be taken by a case.
func enrollable(v *view, o *spec.Organisation) error {
	if o.Role == spec.RoleMember {
		return spec.Errorf(spec.CodeNotEnabled, "members are enrolled by the genesis document alone")
	}
	taken := false
	err := organisations(v, func(other *spec.Organisation) {
		taken = taken || other.ID == o.ID || sharesKey(other, o)
	})
	if err != nil {
		return err
	}
	if taken {
		return spec.Errorf(spec.CodeEnrolled, "an organisation of this id or with one of these keys is enrolled")
	}
	return nil
}

func sharesKey(a, b *spec.Organisation) bool {
	keys := []spec.PublicKey{a.OpKey, a.CosignKey, a.Libp2pKey}
	return slices.Contains(keys, b.OpKey) || slices.Contains(keys, b.CosignKey) || slices.Contains(keys, b.Libp2pKey)
}

// open records a case under the operation's id, with the opener's own vote where
// the rule counts it, and decides it at once if that is enough.
func open(v *view, op *spec.Signed, c *spec.Case, rule func(*spec.Policy) spec.Rule) error {
	var policy spec.Policy
	if err := need(v, spec.PolicyKey, &policy); err != nil {
		return err
	}
	var clock spec.Clock
	if err := need(v, spec.ClockKey, &clock); err != nil {
		return err
	}
	r := rule(&policy)
	c.Kind, c.Org, c.Index = op.Op.Kind, op.Op.Org, v.leaf-1
	c.OpenedMS, c.DeadlineMS = clock.TimeMS, clock.TimeMS+r.WindowMS
	c.Policy, c.Need = policy.Digest(), uint64(r.Threshold.Of(int(c.Base)))
	if err := v.put(spec.CaseKey(op.ID), c); err != nil {
		return err
	}
	v.set(spec.DueKey(c.DeadlineMS, op.ID), []byte{})
	if r.ProposerCounts && slices.Contains(c.Electorate, c.Org) {
		ballot := spec.VoteRecord{Choice: spec.Approve, Reason: c.Reason, Index: c.Index}
		if err := v.put(spec.VoteKey(op.ID, c.Org), &ballot); err != nil {
			return err
		}
	}
	return settle(v, op.ID, c)
}

// vote records a ballot, in the place of an earlier one of the same organisation,
// and decides the case if that is enough.
func vote(v *view, op *spec.Signed, b *spec.Vote) error {
	var c spec.Case
	found, err := load(v, spec.CaseKey(b.Case), &c)
	if err != nil {
		return err
	}
	switch {
	case !found:
		return spec.Errorf(spec.CodeCase, "no case has this id")
	case !c.Open():
		return spec.Errorf(spec.CodeCaseClosed, "the case is %s", spec.OutcomeName(c.Outcome))
	case !slices.Contains(c.Electorate, op.Op.Org):
		return spec.Errorf(spec.CodeElectorate, "%s does not vote on this case", op.Op.Org)
	}
	for _, e := range b.Except {
		if e >= uint64(len(c.Items)) {
			return spec.Errorf(spec.CodeMalformed, "the case has no item %d to leave out", e)
		}
	}
	ballot := spec.VoteRecord{Choice: b.Choice, Except: b.Except, Reason: b.Reason, Index: v.leaf - 1}
	if err := v.put(spec.VoteKey(b.Case, op.Op.Org), &ballot); err != nil {
		return err
	}
	return settle(v, b.Case, &c)
}

// members returns the ids of all members, sorted.
func members(st State) ([]string, error) {
	var ids []string
	err := organisations(st, func(o *spec.Organisation) {
		if o.Role == spec.RoleMember {
			ids = append(ids, o.ID)
		}
	})
	return ids, err
}

func organisations(st State, fn func(*spec.Organisation)) error {
	var bad error
	err := st.Records(spec.OrgPrefix, func(_, value []byte) bool {
		var r spec.OrgRecord
		if bad = spec.Decode(value, &r); bad == nil {
			fn(&r.Organisation)
		}
		return bad == nil
	})
	return damaged(err, bad)
}
