// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// turned notes that what the panel follows from may have changed. The caller
// writes the clock.
func turned(v *view) error {
	clock, err := v.clock()
	if err != nil {
		return err
	}
	clock.Turn = max(clock.Turn, spec.Turned)
	return nil
}

// turn ends a group in which the panel may have changed: a panel that differs from
// the one in force gets a number, a leaf, and takes over at the end of this group.
func turn(l Ledger) error {
	v := newView(l)
	clock, err := v.clock()
	if err != nil || clock.Turn == 0 {
		return err
	}
	from, err := recoveredFrom(v, clock)
	if err != nil {
		return err
	}
	clock.Turn = 0
	last, err := PanelInForce(v)
	if err != nil {
		return err
	}
	next, err := successor(v, &last.Panel)
	if err != nil {
		return err
	}
	if from > 0 || next.K != last.Panel.K || !slices.Equal(next.Seats, last.Panel.Seats) {
		clock.Panel++
		next.Tag, next.Number = spec.TagPanel, clock.Panel
		index, err := v.derive(next)
		if err != nil {
			return err
		}
		if err := v.put(spec.PanelKey(next.Number), &spec.PanelRecord{Size: index + 2, From: from, Panel: *next}); err != nil {
			return err
		}
	}
	if err := v.setClock(); err != nil {
		return err
	}
	return carryOut(l, &v.effects)
}

// PanelInForce returns who makes the log final now.
func PanelInForce(st State) (*spec.PanelRecord, error) {
	clock, err := newView(st).clock()
	if err != nil {
		return nil, err
	}
	r := new(spec.PanelRecord)
	return r, need(st, spec.PanelKey(clock.Panel), r)
}

// successor is the panel that follows from the state: the sequencers that are
// ready, once enough of them are to make the log final together; until then
// whoever is seated and still a member.
func successor(v *view, last *spec.Panel) (*spec.Panel, error) {
	named, err := Sequencers(v)
	if err != nil {
		return nil, err
	}
	policy, err := v.policy()
	if err != nil {
		return nil, err
	}
	var ready, kept []spec.Seat
	err = organisations(v, func(o *spec.OrgRecord) {
		s := spec.Seat{Org: o.Organisation.ID, Key: o.Organisation.CosignKey}
		if o.Organisation.Role != spec.RoleMember {
			return
		}
		if b, _ := v.Record(spec.ReadyKey(s.Org)); b != nil && slices.Contains(named, s.Org) {
			ready = append(ready, s)
		}
		if _, seated := last.Seat(s.Org); seated {
			kept = append(kept, s)
		}
	})
	if err != nil {
		return nil, err
	}
	seats := ready
	if len(ready) == 0 || len(ready) < policy.Finality(len(named)) {
		seats = kept
	}
	if len(seats) == 0 {
		seats = last.Seats // the log can go on by a recovery alone
	}
	return &spec.Panel{K: quorumOf(policy, len(seats)), Seats: seats}, nil
}

// quorumOf is how many of n seats make final: what the policy says where that many
// sit and no two halves could, else the least that is safe.
func quorumOf(policy *spec.Policy, n int) uint64 {
	if k := policy.FinalityK; k <= uint64(n) && 2*k > uint64(n) {
		return k
	}
	least := *policy
	least.FinalityK = 0
	return uint64(least.Finality(n))
}
