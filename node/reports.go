// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/spec"
)

// recentLeaves bounds how much of the log a report reads for receipts.
const recentLeaves = 100_000

// Propagation implements api.Backend.
func (n *Node) Propagation(ctx context.Context) (*api.Propagation, error) {
	var clock spec.Clock
	if err := readRecord(n.store, spec.ClockKey, &clock); err != nil {
		return nil, err
	}
	out := &api.Propagation{Size: n.store.Size(), LimitMS: clock.MatchableMS}
	out.From = out.Size - min(out.Size, recentLeaves)
	delays, err := n.delays(ctx, out.From, out.Size)
	if err != nil {
		return nil, err
	}
	orgs, err := n.organisations()
	if err != nil {
		return nil, err
	}
	for _, o := range orgs {
		if o.Organisation.Role != spec.RoleMember {
			continue
		}
		id := o.Organisation.ID
		m := api.MemberPropagation{Organisation: id, Times: api.TimesOf(delays[id])}
		var r spec.ReceiptRecord
		if err := readRecord(n.store, spec.ReceiptKey(id), &r); err != nil {
			return nil, err
		}
		m.Confirmed = r.Index
		if m.Behind, m.Late, err = n.unconfirmed(max(r.Index, o.Since), &clock); err != nil {
			return nil, err
		}
		out.Members = append(out.Members, m)
	}
	return out, nil
}

func (n *Node) organisations() ([]spec.OrgRecord, error) {
	var out []spec.OrgRecord
	var bad error
	err := n.store.Records(spec.OrgPrefix, func(_, value []byte) bool {
		var o spec.OrgRecord
		bad = spec.DecodeStored(value, &o)
		out = append(out, o)
		return bad == nil
	})
	return out, firstOf(err, bad)
}

// delays reads the receipts between two indexes of the log: for each organisation,
// how long after their decisions it had applied them. Its clock may be behind the
// consortium's; what seems to come before the decision took no time.
func (n *Node) delays(ctx context.Context, from, size uint64) (map[string][]int64, error) {
	decided := map[uint64]int64{} // by index; -1: no decision
	out := map[string][]int64{}
	for from < size {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		leaves, err := n.store.Leaves(from, 1<<20)
		if err != nil || len(leaves) == 0 {
			return out, err
		}
		for _, leaf := range leaves {
			if !spec.IsEnvelope(leaf) {
				continue
			}
			l, err := spec.ParseLeaf(leaf)
			if err != nil {
				return nil, err
			}
			a, ok := l.Signed.Body.(*spec.Applied)
			if !ok {
				continue
			}
			for _, at := range a.At {
				ms, err := n.decidedAt(decided, at.Index)
				if err != nil {
					return nil, err
				}
				if ms >= 0 {
					out[l.Signed.Op.Org] = append(out[l.Signed.Op.Org], max(0, int64(at.AtMS)-ms))
				}
			}
		}
		from += uint64(len(leaves))
	}
	return out, nil
}

// decidedAt returns the log time of the decision at an index, -1 when there is
// none.
func (n *Node) decidedAt(known map[uint64]int64, index uint64) (int64, error) {
	if ms, ok := known[index]; ok {
		return ms, nil
	}
	known[index] = -1
	key := spec.DecidedKey(index)
	value, err := n.store.Record(key)
	if err != nil {
		return 0, err
	}
	if _, id, ok := spec.ParseDecided(key, value); ok {
		var c spec.Case
		if err := readRecord(n.store, spec.CaseKey(id), &c); err != nil {
			return 0, err
		}
		known[index] = int64(c.DecidedMS)
	}
	return known[index], nil
}

// unconfirmed counts the decisions behind an index, and says whether one is older
// than the policy's clock.
func (n *Node) unconfirmed(index uint64, clock *spec.Clock) (count int, late bool, err error) {
	var first spec.Hash
	err = n.store.RecordsFrom(spec.DecidedPrefix, spec.DecidedKey(index+1), func(key, value []byte) bool {
		if _, id, ok := spec.ParseDecided(key, value); ok && count == 0 {
			first = id
		}
		count++
		return true
	})
	if err != nil || count == 0 || clock.MatchableMS == 0 {
		return count, false, err
	}
	var c spec.Case
	err = readRecord(n.store, spec.CaseKey(first), &c)
	return count, c.DecidedMS+clock.MatchableMS < clock.TimeMS, err
}

// Compliance implements api.Backend.
func (n *Node) Compliance(ctx context.Context) (*api.Compliance, error) {
	policy, err := n.Policy(ctx)
	if err != nil {
		return nil, err
	}
	out := &api.Compliance{MatchableMS: policy.Clocks.MatchableMS, ActionMS: policy.Clocks.ActionMS}
	out.Referral.LimitMS, out.Dispute.LimitMS = policy.Clocks.ReferralMS, policy.Dispute.WindowMS
	byOrg, err := n.serviceClocks(out)
	if err != nil {
		return nil, err
	}
	p, err := n.Propagation(ctx)
	if err != nil {
		return nil, err
	}
	orgs, err := n.organisations()
	if err != nil {
		return nil, err
	}
	for _, o := range orgs {
		id := o.Organisation.ID
		k := api.OrganisationClocks{Organisation: id, Role: o.Organisation.Role}
		if mine := byOrg[id]; mine != nil {
			k.Referral, k.Dispute, k.Awaited = api.TimesOf(mine.referrals), api.TimesOf(mine.disputes), mine.awaited
		}
		for _, m := range p.Members {
			if m.Organisation == id {
				k.Matchable, k.Behind = m.Times, m.Behind
			}
		}
		if err := readRecord(n.store, spec.ActionKey(id), &k.Actions); err != nil {
			return nil, err
		}
		if err := readRecord(n.store, spec.MarksKey(id), &k.Marks); err != nil {
			return nil, err
		}
		out.Organisations = append(out.Organisations, k)
	}
	return out, nil
}

// own is what one organisation's referrals and disputes took, and how many open
// ones wait for its vote.
type own struct {
	referrals, disputes []int64
	awaited             int
}

// serviceClocks measures referrals that have a deadline, and disputes, of all and by
// the organisation that opened them.
func (n *Node) serviceClocks(out *api.Compliance) (map[string]*own, error) {
	var referrals, disputes []int64
	byOrg := map[string]*own{}
	of := func(id string) *own {
		if byOrg[id] == nil {
			byOrg[id] = &own{}
		}
		return byOrg[id]
	}
	var bad error
	err := n.store.Records(spec.CasePrefix, func(key, value []byte) bool {
		var c spec.Case
		if bad = spec.DecodeStored(value, &c); bad != nil {
			return false
		}
		k, times, its := &out.Dispute, &disputes, &of(c.Org).disputes
		if c.Kind == spec.KindProposal && c.ReplyMS != 0 {
			k, times, its = &out.Referral, &referrals, &of(c.Org).referrals
		} else if c.Kind != spec.KindDispute {
			return true
		}
		if c.Stage > 0 {
			k.Overdue++
		}
		if c.Open() {
			k.Open++
			bad = n.awaitedFrom(spec.Hash(key[1:]), &c, func(org string) { of(org).awaited++ })
			return bad == nil
		}
		took := int64(c.DecidedMS - c.OpenedMS)
		*times, *its = append(*times, took), append(*its, took)
		return true
	})
	out.Referral.Times, out.Dispute.Times = api.TimesOf(referrals), api.TimesOf(disputes)
	return byOrg, firstOf(err, bad)
}

// awaitedFrom calls fn with each organisation whose vote an open case waits for.
func (n *Node) awaitedFrom(id spec.Hash, c *spec.Case, fn func(org string)) error {
	electorate, err := governance.Electorate(n.store, c)
	for _, org := range electorate {
		ballot, e := n.store.Record(spec.VoteKey(id, org))
		if e != nil {
			return e
		}
		if ballot == nil {
			fn(org)
		}
	}
	return err
}
