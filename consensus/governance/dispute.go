// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// dispute opens a case against an entry, or some signals of it, and flags the
// entry at once.
func dispute(v *view, op *spec.Signed, d *spec.Dispute) error {
	e, err := disputable(v, d)
	if err != nil {
		return err
	}
	policy, err := v.policy()
	if err != nil {
		return err
	}
	if d.Freeze && !policy.Freeze {
		return spec.Errorf(spec.CodeNotEnabled, "the policy does not let one member suspend an entry")
	}
	if v.who.Organisation.Role == spec.RoleMember {
		err = quota(v, byte(spec.KindDispute), policy.Dispute.PerDay)
	} else {
		err = quota(v, quotaOutside, policy.OutsidePerDay)
	}
	if err != nil {
		return err
	}
	if err := flag(v, op.ID, d, e, d.Freeze); err != nil {
		return err
	}
	c := spec.Case{Reason: d.Reason, Entry: d.Entry}
	if c.Excluded, err = conflicted(v, e.Org); err != nil {
		return err
	}
	return open(v, op, &c)
}

// disputable returns the entry that a dispute is against.
func disputable(v *view, d *spec.Dispute) (*spec.Entry, error) {
	e := new(spec.Entry)
	found, err := load(v, spec.EntryKey(d.Entry), e)
	if err != nil {
		return nil, err
	}
	switch {
	case !found:
		return nil, spec.Errorf(spec.CodeEntry, "no entry has this id")
	case e.State == spec.StateRetracted:
		return nil, spec.Errorf(spec.CodeEntryState, "the entry is retracted already")
	case !e.Dispute.IsZero():
		return nil, spec.Errorf(spec.CodeDisputed, "a dispute against the entry is open: vote on its case")
	}
	for _, n := range d.Signals {
		if n >= e.Count {
			return nil, spec.Errorf(spec.CodeMalformed, "the entry has no signal %d", n)
		}
		if slices.Contains(e.Removed, n) {
			return nil, spec.Errorf(spec.CodeEntryState, "signal %d of the entry is retracted already", n)
		}
	}
	return e, nil
}

// flag marks an entry as disputed, and suspends what is disputed when asked to.
func flag(v *view, id spec.Hash, d *spec.Dispute, e *spec.Entry, freeze bool) error {
	e.Dispute = id
	if freeze {
		suspend(e, d)
	}
	return setEntry(v, d.Entry, e, v.leaf-1)
}

func suspend(e *spec.Entry, d *spec.Dispute) {
	if len(d.Signals) == 0 {
		e.Frozen = true
	} else {
		e.Paused = d.Signals
	}
}

// conflicted names the member that proposed an entry, who does not rule on it. The
// only member of a consortium rules all the same: there is no one else.
func conflicted(v *view, proposer string) ([]string, error) {
	clock, err := v.clock()
	if err != nil || clock.Members < 2 {
		return nil, err
	}
	var who spec.OrgRecord
	found, err := load(v, spec.OrgKey(proposer), &who)
	if err != nil || !found || who.Organisation.Role != spec.RoleMember {
		return nil, err
	}
	return []string{proposer}, nil
}

// overdue suspends what is disputed once the window has passed, if a member stands
// behind the dispute; one by a reader or auditor alone lapses.
func overdue(v *view, id spec.Hash, c *spec.Case) error {
	if seconded, err := behind(v, c); err != nil {
		return err
	} else if !seconded {
		return conclude(v, id, c, spec.OutcomeLapsed, nil)
	}
	d, err := content(v, id, new(spec.Dispute))
	if err != nil {
		return err
	}
	index, err := notice(v, id, c, spec.NoticeDispute)
	if err != nil {
		return err
	}
	var e spec.Entry
	if err := need(v, spec.EntryKey(c.Entry), &e); err != nil {
		return err
	}
	suspend(&e, d)
	if err := setEntry(v, c.Entry, &e, index); err != nil {
		return err
	}
	return putCase(v, id, c)
}

// behind reports whether a member filed or approves a dispute. The rules' own
// follow from a decision of members.
func behind(v *view, c *spec.Case) (bool, error) {
	if c.Yes > 0 || c.Org == "" {
		return true, nil
	}
	var who spec.OrgRecord
	found, err := load(v, spec.OrgKey(c.Org), &who)
	return found && who.Organisation.Role == spec.RoleMember, err
}

// concludeDispute retracts what was disputed, or clears the flag.
func concludeDispute(v *view, id spec.Hash, c *spec.Case) error {
	var e spec.Entry
	if err := need(v, spec.EntryKey(c.Entry), &e); err != nil {
		return err
	}
	if e.Dispute != id {
		return nil // the entry is retracted
	}
	e.Dispute, e.Frozen, e.Paused = spec.Hash{}, false, nil
	if c.Outcome != spec.OutcomeAccepted {
		return setEntry(v, c.Entry, &e, c.Decided)
	}
	d, err := content(v, id, new(spec.Dispute))
	if err != nil {
		return err
	}
	if err := await(v, c); err != nil {
		return err
	}
	if len(d.Signals) == 0 {
		return retract(v, c.Entry, &e, c.Decided)
	}
	return remove(v, c.Entry, &e, d.Signals, c.Decided)
}
