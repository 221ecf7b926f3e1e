// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// depart ends an organisation's enrolment. Its id and keys stay taken, its votes
// no longer count in cases that are open.
func depart(v *view, m *spec.Membership, since uint64) error {
	var who spec.OrgRecord
	if err := need(v, spec.OrgKey(m.Org), &who); err != nil {
		return err
	}
	v.delete(spec.OrgKey(m.Org))
	v.delete(spec.ReadyKey(m.Org))
	former := spec.FormerRecord{Enrolled: who, Until: since, Action: m.Action}
	if err := v.put(spec.FormerKey(m.Org), &former); err != nil {
		return err
	}
	clock, err := v.clock()
	if err != nil {
		return err
	}
	clock.Epoch++
	if who.Organisation.Role != spec.RoleMember {
		return v.setClock()
	}
	clock.Members--
	clock.Turn = spec.Turned
	if err := unname(v, m.Org); err != nil {
		return err
	}
	// First it is counted nowhere any more, then what that decides is decided: a case
	// that passes may end another member's enrolment, and with it look at all the rest.
	err = eachOpen(v, func(id spec.Hash, c *spec.Case) error { return without(v, id, c, &who) })
	if err != nil {
		return err
	}
	return eachOpen(v, func(id spec.Hash, c *spec.Case) error {
		if who.Since > c.Index {
			return nil
		}
		return settle(v, id, c)
	})
}

// unname takes a member that went off the list of sequencers.
func unname(v *view, org string) error {
	policy, err := v.policy()
	if err != nil {
		return err
	}
	i := slices.Index(policy.Sequencers, org)
	if i < 0 {
		return v.setClock()
	}
	next := *policy
	next.Sequencers = slices.Concat(policy.Sequencers[:i], policy.Sequencers[i+1:])
	if n := uint64(len(next.Sequencers)); next.FinalityK > n || n == 0 {
		next.FinalityK = 0
	}
	return setPolicy(v, &next)
}

// eachOpen calls fn with the cases that are open now, as long as they are.
func eachOpen(v *view, fn func(spec.Hash, *spec.Case) error) error {
	var ids []spec.Hash
	err := v.Records(spec.DuePrefix, func(key, _ []byte) bool {
		if _, id, ok := spec.ParseDueKey(key); ok {
			ids = append(ids, id)
		}
		return true
	})
	if err != nil {
		return err
	}
	slices.SortFunc(ids, compareIDs)
	for _, id := range ids {
		var c spec.Case
		if err := need(v, spec.CaseKey(id), &c); err != nil {
			return err
		}
		if !c.Open() {
			continue
		}
		if err := fn(id, &c); err != nil {
			return err
		}
	}
	return nil
}

// without takes a member out of the electorate of an open case, with its vote.
func without(v *view, id spec.Hash, c *spec.Case, who *spec.OrgRecord) error {
	org := who.Organisation.ID
	if who.Since > c.Index {
		return nil // it was never counted
	}
	if !slices.Contains(c.Excluded, org) {
		c.Voters--
		if _, err := unvote(v, id, c, org, nil); err != nil {
			return err
		}
	} else if c.Kind == spec.KindDispute {
		return nil // nor in what the threshold counts
	}
	c.Base--
	c.Need = uint64(c.Rule.Threshold.Of(int(c.Base)))
	c.Urgent = min(c.Urgent, c.Need)
	return putCase(v, id, c)
}

// unvote takes an organisation's vote back, if it has one that doubted agrees to, and
// reports whether it did. The caller writes the case.
func unvote(v *view, id spec.Hash, c *spec.Case, org string, doubted func(*spec.VoteRecord) bool) (bool, error) {
	key := spec.VoteKey(id, org)
	var b spec.VoteRecord
	found, err := load(v, key, &b)
	if err != nil || !found || doubted != nil && !doubted(&b) {
		return false, err
	}
	add(c, b.Choice, ^uint64(0))
	v.delete(key)
	return true, nil
}
