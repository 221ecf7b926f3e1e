// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"fmt"

	"github.com/tocsin-db/tocsin/spec"
)

// tally counts the votes of a case.
type tally struct {
	yes, no, abstain uint64
	without          []uint64 // approvals that leave item i out
}

// settle decides a case as soon as its outcome cannot change any more.
func settle(v *view, id spec.Hash, c *spec.Case) error {
	t, err := count(v, id, c)
	if err != nil {
		return err
	}
	undecided := uint64(len(c.Electorate)) - t.yes - t.no - t.abstain
	switch {
	case t.yes >= c.Need:
		return accept(v, id, c, t)
	case t.yes+undecided < c.Need:
		return conclude(v, id, c, t, spec.OutcomeRejected, nil)
	}
	return nil
}

func count(v *view, id spec.Hash, c *spec.Case) (tally, error) {
	t := tally{without: make([]uint64, len(c.Items))}
	var bad error
	err := v.Records(spec.VotePrefix(id), func(_, value []byte) bool {
		var b spec.VoteRecord
		if bad = spec.Decode(value, &b); bad != nil {
			return false
		}
		switch b.Choice {
		case spec.Approve:
			t.yes++
			for _, e := range b.Except {
				t.without[e]++
			}
		case spec.Reject:
			t.no++
		default:
			t.abstain++
		}
		return true
	})
	return t, damaged(err, bad)
}

// damaged turns a record that cannot be decoded into a fault of the state.
func damaged(err, bad error) error {
	if err == nil && bad != nil {
		return fmt.Errorf("%w: a record cannot be decoded: %v", ErrState, bad)
	}
	return err
}

// accept concludes a case that enough have approved and does what it asked for.
// An item that too few approvals cover is left out alone; a case all of whose
// items are left out is rejected.
func accept(v *view, id spec.Hash, c *spec.Case, t tally) error {
	var excluded []byte
	left := 0
	for i, n := range t.without {
		if t.yes-n < c.Need {
			if excluded == nil {
				excluded = make([]byte, (len(c.Items)+7)/8)
			}
			excluded[i/8] |= 1 << (i % 8)
			left++
		}
	}
	outcome := spec.OutcomeAccepted
	if left > 0 && left == len(c.Items) {
		outcome = spec.OutcomeRejected
	}
	return conclude(v, id, c, t, outcome, excluded)
}

// conclude closes a case with its Decision leaf and carries the outcome out.
func conclude(v *view, id spec.Hash, c *spec.Case, t tally, outcome uint64, excluded []byte) error {
	var clock spec.Clock
	if err := need(v, spec.ClockKey, &clock); err != nil {
		return err
	}
	index, err := v.derive(&spec.Decision{
		Tag: spec.TagDecision, Case: id, Outcome: outcome,
		Yes: t.yes, No: t.no, Abstain: t.abstain, Excluded: excluded, Policy: c.Policy,
	})
	if err != nil {
		return err
	}
	items := c.Items
	c.Outcome, c.Decided, c.DecidedMS = outcome, index, clock.TimeMS
	c.Yes, c.No, c.Abstain = t.yes, t.no, t.abstain
	if err := v.put(spec.CaseKey(id), c); err != nil {
		return err
	}
	v.delete(spec.DueKey(c.DeadlineMS, id))
	switch c.Kind {
	case spec.KindProposal:
		return concludeAddition(v, id, c, items, excluded)
	case spec.KindDispute:
		return concludeDispute(v, c)
	case spec.KindMembership:
		return concludeEnrolment(v, c, clock)
	}
	return fmt.Errorf("%w: a case of kind %d", ErrState, c.Kind)
}

// concludeAddition makes entries of the accepted items.
func concludeAddition(v *view, id spec.Hash, c *spec.Case, items []spec.Item, excluded []byte) error {
	if c.Outcome != spec.OutcomeAccepted {
		return nil
	}
	first := 0
	for i := range items {
		n := items[i].Signals()
		if excluded == nil || excluded[i/8]&(1<<(i%8)) == 0 {
			e := spec.Entry{
				Case: id, Item: uint64(i), Org: c.Org, Labels: items[i].Labels,
				Counts: items[i].Counts, First: uint64(first), Count: uint64(n),
			}
			if err := setEntry(v, spec.EntryID(id, i), &e, spec.StateActive, c.Decided); err != nil {
				return err
			}
		}
		first += n
	}
	return nil
}

// concludeDispute retracts the entry and forgets its values, or clears the flag.
func concludeDispute(v *view, c *spec.Case) error {
	var e spec.Entry
	if err := need(v, spec.EntryKey(c.Entry), &e); err != nil {
		return err
	}
	e.Dispute = spec.Hash{}
	if c.Outcome != spec.OutcomeAccepted {
		return setEntry(v, c.Entry, &e, spec.StateActive, c.Decided)
	}
	if err := setEntry(v, c.Entry, &e, spec.StateRetracted, c.Decided); err != nil {
		return err
	}
	v.effects.Erasures = append(v.effects.Erasures, spec.Erasure{Case: e.Case, First: int(e.First), Count: int(e.Count)})
	return nil
}

// concludeEnrolment enrols the organisation and begins a new epoch.
func concludeEnrolment(v *view, c *spec.Case, clock spec.Clock) error {
	if c.Outcome != spec.OutcomeAccepted {
		return nil
	}
	o := c.Enrol[0]
	if err := enrollable(v, &o); spec.CodeOf(err) != "" {
		return nil // another case enrolled it, or one of its keys, meanwhile
	} else if err != nil {
		return err
	}
	clock.Epoch++
	if err := v.put(spec.ClockKey, &clock); err != nil {
		return err
	}
	return v.put(spec.OrgKey(o.ID), &spec.OrgRecord{Organisation: o, Since: c.Decided})
}

// setEntry moves an entry to a state and its signals with it.
func setEntry(v *view, id spec.Hash, e *spec.Entry, state, since uint64) error {
	was := spec.Matchable(e.State)
	e.State, e.Since = state, since
	v.effects.Listings = append(v.effects.Listings, spec.Listing{
		Case: e.Case, First: int(e.First), Count: int(e.Count),
		Was: was, Live: spec.Matchable(state),
		Meta: spec.LiveMeta{Entry: id, State: state, Since: since, Sunset: e.Sunset, Labels: e.Labels},
	})
	return v.put(spec.EntryKey(id), e)
}
