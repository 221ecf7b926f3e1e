// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// stateOf derives an entry's state from what holds of it. Whatever speaks against
// listing goes before what speaks for it.
func stateOf(e *spec.Entry) uint64 {
	switch {
	case e.State == spec.StateRetracted:
		return spec.StateRetracted
	case e.Frozen, !e.Confirmed && !e.Backed, uint64(len(e.Off())) == e.Count:
		return spec.StateSuspended
	case !e.Dispute.IsZero():
		return spec.StateDisputed
	case !e.Confirmed:
		return spec.StateProvisional
	}
	return spec.StateActive
}

// setEntry writes an entry after a change and moves its signals with it. since is
// the log index of what changed it.
func setEntry(v *view, id spec.Hash, e *spec.Entry, since uint64) error {
	was := e.State
	e.State = stateOf(e)
	if e.State != was {
		e.Since = since
	}
	v.list(spec.Listing{
		Case: e.Case, First: int(e.First), Count: int(e.Count), Off: e.Off(),
		Was: spec.Matchable(was), Live: spec.Matchable(e.State),
		Meta: spec.LiveMeta{Entry: id, State: e.State, Since: e.Since, Sunset: e.Sunset, Labels: e.Labels},
	})
	return v.put(spec.EntryKey(id), e)
}

// retract ends an entry for good and forgets its values. An open dispute against
// it has nothing left to ask for.
func retract(v *view, id spec.Hash, e *spec.Entry, since uint64) error {
	if e.State == spec.StateRetracted {
		return nil
	}
	open := e.Dispute
	was := e.State
	e.State, e.Since, e.Dispute, e.Frozen, e.Paused = spec.StateRetracted, since, spec.Hash{}, false, nil
	v.list(spec.Listing{
		Case: e.Case, First: int(e.First), Count: int(e.Count), Was: spec.Matchable(was),
		Meta: spec.LiveMeta{Entry: id, State: e.State, Since: since, Sunset: e.Sunset, Labels: e.Labels},
	})
	v.effects.Erasures = append(v.effects.Erasures, spec.Erasure{Case: e.Case, First: int(e.First), Count: int(e.Count)})
	if err := v.put(spec.EntryKey(id), e); err != nil || open.IsZero() {
		return err
	}
	var c spec.Case
	if err := need(v, spec.CaseKey(open), &c); err != nil {
		return err
	}
	if !c.Open() {
		return nil
	}
	return conclude(v, open, &c, spec.OutcomeMoot, nil)
}

// remove retracts some signals of an entry, and the entry when none is left.
func remove(v *view, id spec.Hash, e *spec.Entry, signals []uint64, since uint64) error {
	e.Removed = append(slices.Clone(e.Removed), signals...)
	slices.Sort(e.Removed)
	e.Removed = slices.Compact(e.Removed)
	if uint64(len(e.Removed)) == e.Count {
		return retract(v, id, e, since)
	}
	if err := setEntry(v, id, e, since); err != nil {
		return err
	}
	for _, n := range signals {
		v.effects.Erasures = append(v.effects.Erasures, spec.Erasure{Case: e.Case, First: int(e.First + n), Count: 1})
	}
	return nil
}
