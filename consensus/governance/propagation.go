// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"github.com/tocsin-db/tocsin/spec"
)

// await starts the clock within which members confirm that they applied a
// decision, unless it runs for an earlier one.
func await(v *view, c *spec.Case) error {
	clock, err := v.clock()
	if err != nil || clock.MatchableMS == 0 {
		return err
	}
	if b, err := v.Record(spec.AwaitedKey); err != nil || b != nil {
		return err
	}
	return v.put(spec.AwaitedKey, &spec.AwaitedRecord{Index: c.Decided, DueMS: clock.TimeMS + clock.MatchableMS})
}

// confirmations says who did not confirm in time, first as a notice, later as a
// mark.
func confirmations(v *view) error {
	var a spec.AwaitedRecord
	found, err := load(v, spec.AwaitedKey, &a)
	if err != nil || !found {
		return err
	}
	clock, err := v.clock()
	if err != nil || a.DueMS > clock.TimeMS {
		return err
	}
	late, err := unconfirmed(v, a.Index)
	if err != nil {
		return err
	}
	if len(late) == 0 {
		v.delete(spec.AwaitedKey)
		return nil
	}
	n := spec.Notice{Tag: spec.TagNotice, What: spec.NoticeMatchable, Level: a.Stage + 1, Index: a.Index, Orgs: late, TimeMS: clock.TimeMS}
	if _, err := v.derive(&n); err != nil {
		return err
	}
	if a.Stage > 0 {
		v.delete(spec.AwaitedKey)
		return addMarks(v, spec.NoticeMatchable, late)
	}
	policy, err := v.policy()
	if err != nil {
		return err
	}
	if policy.Clocks.MarkMS == 0 {
		v.delete(spec.AwaitedKey)
		return nil
	}
	a.Stage, a.DueMS = 1, clock.TimeMS+policy.Clocks.MarkMS
	return v.put(spec.AwaitedKey, &a)
}

// unconfirmed returns the members whose receipts do not reach a decision.
func unconfirmed(v *view, index uint64) ([]string, error) {
	var late []string
	var bad error
	err := organisations(v, func(o *spec.OrgRecord) {
		if o.Organisation.Role != spec.RoleMember || o.Since > index {
			return
		}
		var r spec.ReceiptRecord
		if _, err := load(v, spec.ReceiptKey(o.Organisation.ID), &r); err != nil {
			bad = err
		}
		if r.Index < index {
			late = append(late, o.Organisation.ID)
		}
	})
	if err == nil {
		err = bad
	}
	return late, err
}
