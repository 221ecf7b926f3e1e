// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"errors"
	"fmt"
	"slices"

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
		return awaitNext(v, nil)
	}
	n := spec.Notice{Tag: spec.TagNotice, What: spec.NoticeMatchable, Level: a.Stage + 1, Index: a.Index, Orgs: late, TimeMS: clock.TimeMS}
	if _, err := v.derive(&n); err != nil {
		return err
	}
	if a.Stage > 0 {
		if err := addMarks(v, spec.NoticeMatchable, late); err != nil {
			return err
		}
		return awaitNext(v, late)
	}
	policy, err := v.policy()
	if err != nil {
		return err
	}
	if policy.Clocks.MarkMS == 0 {
		return awaitNext(v, late)
	}
	a.Stage, a.DueMS = 1, clock.TimeMS+policy.Clocks.MarkMS
	return v.put(spec.AwaitedKey, &a)
}

// awaitNext starts the clock of the first decision that a member has not confirmed,
// from the moment of that decision; of those who were told just now, for what is
// decided from here on. So a decision that came while the clock ran for an earlier
// one is not forgotten.
func awaitNext(v *view, told []string) error {
	v.delete(spec.AwaitedKey)
	clock, err := v.clock()
	if err != nil || clock.MatchableMS == 0 {
		return err
	}
	from := v.leaf
	var bad error
	err = organisations(v, func(o *spec.OrgRecord) {
		if o.Organisation.Role != spec.RoleMember || slices.Contains(told, o.Organisation.ID) {
			return
		}
		var r spec.ReceiptRecord
		if _, err := load(v, spec.ReceiptKey(o.Organisation.ID), &r); err != nil {
			bad = err
		}
		from = min(from, max(r.Index, o.Since)+1)
	})
	if err != nil || bad != nil {
		return errors.Join(err, bad)
	}
	var c *spec.Case
	err = v.RecordsFrom(spec.DecidedPrefix, spec.DecidedKey(from), func(key, value []byte) bool {
		_, id, ok := spec.ParseDecided(key, value)
		if !ok {
			bad = fmt.Errorf("%w: a decided case cannot be read", ErrState)
			return false
		}
		var decided spec.Case
		if bad = need(v, spec.CaseKey(id), &decided); bad == nil && awaited(&decided) {
			c = &decided
		}
		return bad == nil && c == nil
	})
	if err != nil || bad != nil || c == nil {
		return errors.Join(err, bad)
	}
	return v.put(spec.AwaitedKey, &spec.AwaitedRecord{Index: c.Decided, DueMS: c.DecidedMS + clock.MatchableMS})
}

// awaited reports whether a decision changed what nodes match.
func awaited(c *spec.Case) bool {
	return c.Outcome == spec.OutcomeAccepted && (c.Kind == spec.KindProposal || c.Kind == spec.KindDispute)
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
