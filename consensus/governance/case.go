// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// open records a case under the operation's id, with the opener's own vote where
// the rule counts it, and decides it at once if that is enough. The caller has
// filled in what the case is about.
func open(v *view, op *spec.Signed, c *spec.Case) error {
	clock, err := v.clock()
	if err != nil {
		return err
	}
	policy, err := v.policy()
	if err != nil {
		return err
	}
	c.Kind, c.Org, c.Key, c.Index = op.Op.Kind, op.Op.Org, op.Op.Key, v.leaf-1
	start(c, policy, clock)
	v.set(spec.ContentKey(op.ID), op.Op.Body)
	if err := ownVote(v, op.ID, c); err != nil {
		return err
	}
	return settle(v, op.ID, c)
}

// start fills in what the policy in force and the membership of the moment say.
func start(c *spec.Case, policy *spec.Policy, clock *spec.Clock) {
	c.Rule, c.Policy, c.OpenedMS = policy.RuleOf(c.Kind), clock.Policy, clock.TimeMS
	c.DeadlineMS = c.OpenedMS + c.Rule.WindowMS
	if c.Urgent > 0 {
		c.DeadlineMS = c.OpenedMS + policy.Urgent.SunsetMS
	}
	c.Voters = clock.Members - min(uint64(len(c.Excluded)), clock.Members)
	c.Base = base(c, clock.Members)
	c.Need = uint64(c.Rule.Threshold.Of(int(c.Base)))
	c.Urgent = min(c.Urgent, c.Need)
}

// base is how many members the threshold counts: those who may not rule on a
// dispute are not missed, an organisation that a case is about is.
func base(c *spec.Case, members uint64) uint64 {
	if c.Kind == spec.KindDispute {
		return c.Voters
	}
	return members
}

// ownVote counts the opening of a case as an approval where the rule says so.
func ownVote(v *view, id spec.Hash, c *spec.Case) error {
	if !c.Rule.ProposerCounts || v.who.Organisation.Role != spec.RoleMember || slices.Contains(c.Excluded, c.Org) {
		return nil
	}
	c.Yes++
	return v.put(spec.VoteKey(id, c.Org), &spec.VoteRecord{Choice: spec.Approve, Reason: c.Reason, Index: c.Index, Key: c.Key})
}

// votesOn reports whether an organisation is in the electorate of a case: the
// members of the time of its opening, less those whom it excludes and those who
// went since.
func votesOn(who *spec.OrgRecord, c *spec.Case) bool {
	return who.Organisation.Role == spec.RoleMember && who.Since <= c.Index && !slices.Contains(c.Excluded, who.Organisation.ID)
}

// Electorate returns the ids of the organisations that vote, or voted, on a case,
// sorted, less those that are enrolled no more.
func Electorate(st State, c *spec.Case) ([]string, error) {
	var ids []string
	err := organisations(st, func(o *spec.OrgRecord) {
		if votesOn(o, c) {
			ids = append(ids, o.Organisation.ID)
		}
	})
	return ids, err
}

func organisations(st State, fn func(*spec.OrgRecord)) error {
	r := new(spec.OrgRecord)
	return each(st, spec.OrgPrefix, r, func() { *r = spec.OrgRecord{} }, func([]byte) (bool, error) {
		fn(r)
		return true, nil
	})
}

// putCase writes an open case and when the rules look at it next.
func putCase(v *view, id spec.Hash, c *spec.Case) error {
	clock, err := v.clock()
	if err != nil {
		return err
	}
	if due := nextDue(c, clock.TimeMS); due != c.DueMS {
		if c.DueMS != 0 {
			v.delete(spec.DueKey(c.DueMS, id))
		}
		c.DueMS = due
		v.set(spec.DueKey(due, id), []byte{})
	}
	return v.put(spec.CaseKey(id), c)
}

// nextDue is the next moment at which time alone may change something.
func nextDue(c *spec.Case, now uint64) uint64 {
	due := uint64(spec.Never)
	consider := func(at uint64) { due = min(due, max(at, now+1)) }
	if cool := c.OpenedMS + c.Rule.CooldownMS; cool > now {
		consider(cool)
	}
	if c.Kind != spec.KindDispute || c.Stage == 0 {
		consider(c.DeadlineMS)
	}
	if c.ReplyMS != 0 && c.Stage == 0 {
		consider(c.ReplyMS)
	}
	if c.Stage == 1 && c.MarkMS != 0 {
		consider(c.MarkMS)
	}
	return due
}

// loadCase reads a case that must be open.
func loadCase(v *view, id spec.Hash) (*spec.Case, error) {
	c := new(spec.Case)
	found, err := load(v, spec.CaseKey(id), c)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, spec.Errorf(spec.CodeCase, "no case has this id")
	}
	if !c.Open() {
		return nil, spec.Errorf(spec.CodeCaseClosed, "the case is %s", spec.OutcomeName(c.Outcome))
	}
	return c, nil
}

// content returns what a case is about.
func content[T spec.Body](st State, id spec.Hash, out T) (T, error) {
	return out, need(st, spec.ContentKey(id), out)
}

// Content returns what a case is about: the body of the operation that opened it.
func Content(st State, id spec.Hash, c *spec.Case) (spec.Body, error) {
	raw, err := st.Record(spec.ContentKey(id))
	if err != nil {
		return nil, err
	}
	return spec.DecodeBody(c.Kind, raw)
}
