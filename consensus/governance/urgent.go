// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"github.com/tocsin-db/tocsin/spec"
)

// back lists the items of an urgent addition provisionally while enough
// organisations approve them, and suspends them while they do not. A vote of an
// organisation that was barred from urgency when it voted does not count.
func back(v *view, id spec.Hash, c *spec.Case, t *tally) error {
	var p *spec.Proposal
	for i, n := range t.backing {
		var e spec.Entry
		found, err := load(v, spec.EntryKey(spec.EntryID(id, i)), &e)
		if err != nil {
			return err
		}
		backed := n >= c.Urgent
		if backed == e.Backed || e.State == spec.StateRetracted {
			continue
		}
		if !found {
			if p == nil {
				if p, err = content(v, id, new(spec.Proposal)); err != nil {
					return err
				}
			}
			e = provisional(id, c, p, i)
		}
		e.Backed = backed
		if err := setEntry(v, spec.EntryID(id, i), &e, v.leaf-1); err != nil {
			return err
		}
	}
	return nil
}

// provisional is the entry that an item becomes before its case is decided.
func provisional(id spec.Hash, c *spec.Case, p *spec.Proposal, i int) spec.Entry {
	first := 0
	for j := range i {
		first += p.Items[j].Signals()
	}
	return spec.Entry{
		Case: id, Item: uint64(i), Org: c.Org, Labels: p.Items[i].Labels, Counts: p.Items[i].Counts,
		First: uint64(first), Count: uint64(p.Items[i].Signals()), Sunset: c.DeadlineMS,
	}
}

func isBarred(v *view, org string, clock *spec.Clock) (bool, error) {
	var b spec.BarRecord
	found, err := load(v, spec.BarKey(org), &b)
	return found && clock.TimeMS < b.UntilMS, err
}

func notBarred(v *view, org string, clock *spec.Clock) error {
	barred, err := isBarred(v, org, clock)
	if err == nil && barred {
		return spec.Errorf(spec.CodeBarred, "an urgent addition that %s approved lapsed: it may not be urgent for now", org)
	}
	return err
}

// barApprovers keeps those who approved an urgent addition that ended unconfirmed
// from urgency for a while.
func barApprovers(v *view, id spec.Hash, c *spec.Case) error {
	t, err := detail(v, id, c)
	if err != nil {
		return err
	}
	policy, err := v.policy()
	if err != nil {
		return err
	}
	if policy.Urgent.BarMS == 0 {
		return nil
	}
	for _, org := range t.approvers {
		bar := spec.BarRecord{UntilMS: c.DecidedMS + policy.Urgent.BarMS, Case: id}
		if err := v.put(spec.BarKey(org), &bar); err != nil {
			return err
		}
	}
	return nil
}
