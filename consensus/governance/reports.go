// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// ready notes that a sequencer counts from now on.
func ready(v *view, op *spec.Signed, r *spec.Ready) error {
	ids, err := Sequencers(v)
	if err != nil {
		return err
	}
	if !slices.Contains(ids, op.Op.Org) {
		return spec.Errorf(spec.CodeRole, "%s is not a sequencer", op.Op.Org)
	}
	if r.Size > v.leaf {
		return spec.Errorf(spec.CodeIndex, "the log does not reach index %d", r.Size)
	}
	if err := v.put(spec.ReadyKey(op.Op.Org), &spec.ReadyRecord{Index: v.leaf - 1, Size: r.Size}); err != nil {
		return err
	}
	if err := turned(v); err != nil {
		return err
	}
	return v.setClock()
}

// receipt notes the furthest decision that an organisation's node applied.
func receipt(v *view, op *spec.Signed, a *spec.Applied) error {
	last := a.At[len(a.At)-1]
	if last.Index >= v.leaf-1 {
		return spec.Errorf(spec.CodeIndex, "the log does not reach index %d", last.Index)
	}
	var r spec.ReceiptRecord
	if _, err := load(v, spec.ReceiptKey(op.Op.Org), &r); err != nil {
		return err
	}
	if last.Index >= r.Index {
		r.Index, r.AtMS = last.Index, last.AtMS
	}
	r.Count += uint64(len(a.At))
	return v.put(spec.ReceiptKey(op.Op.Org), &r)
}

// actions sums what a platform reports. The figures are its own word.
func actions(v *view, op *spec.Signed, a *spec.Actions) error {
	policy, err := v.policy()
	if err != nil {
		return err
	}
	var r spec.ActionRecord
	if _, err := load(v, spec.ActionKey(op.Op.Org), &r); err != nil {
		return err
	}
	for i := range a.Reports {
		x := &a.Reports[i]
		if b, err := v.Record(spec.EntryKey(x.Entry)); err != nil {
			return err
		} else if b == nil {
			return spec.Errorf(spec.CodeEntry, "no entry has this id")
		}
		took := x.ActedMS - x.MatchedMS
		r.Reports++
		r.WorstMS = max(r.WorstMS, took)
		if policy.Clocks.ActionMS != 0 && took > policy.Clocks.ActionMS {
			r.Late++
		}
	}
	return v.put(spec.ActionKey(op.Op.Org), &r)
}

// Sequencers returns the ids of the members that are raft voters and cosigners,
// sorted: those that the policy names, else all, up to nine in the order of their
// enrolment.
func Sequencers(st State) ([]string, error) {
	policy, err := newView(st).policy()
	if err != nil {
		return nil, err
	}
	if len(policy.Sequencers) > 0 {
		return slices.Clone(policy.Sequencers), nil
	}
	type member struct {
		id    string
		since uint64
	}
	var all []member
	err = organisations(st, func(o *spec.OrgRecord) {
		if o.Organisation.Role == spec.RoleMember {
			all = append(all, member{o.Organisation.ID, o.Since})
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b member) int { // ids are in order already
		if a.since < b.since {
			return -1
		}
		return min(int(a.since-b.since), 1)
	})
	var ids []string
	for _, m := range all[:min(len(all), spec.MaxSequencers)] {
		ids = append(ids, m.id)
	}
	slices.Sort(ids)
	return ids, nil
}
