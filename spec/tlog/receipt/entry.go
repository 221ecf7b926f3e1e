// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"slices"
	"time"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// entry checks that the entry stands in the state, and how it came there.
func (c *checking) entry(f *Fact) error {
	var e spec.Entry
	found, err := c.record(spec.EntryKey(c.r.Entry), &e)
	if err != nil {
		return err
	}
	if !found || spec.EntryID(e.Case, int(e.Item)) != c.r.Entry {
		return bad("the entry's record is missing")
	}
	f.State, f.Organisation, f.Labels = spec.StateName(e.State), e.Org, e.Labels
	_, op, err := c.ruling(e.Case, &f.Listing)
	if err != nil {
		return err
	}
	if op == nil {
		return bad("no operation opened the case of the entry")
	}
	p, ok := op.Body.(*spec.Proposal)
	if !ok || op.ID != e.Case || e.Item >= uint64(len(p.Items)) {
		return bad("the operation that opened the case is not the proposal of the entry")
	}
	if err := c.listed(&e, f); err != nil {
		return err
	}
	if e.State == spec.StateRetracted {
		if err := c.retracted(&e, f); err != nil {
			return err
		}
	}
	return c.signal(&e, p, f)
}

// listed checks that an entry that is not retracted was decided, or is provisional.
func (c *checking) listed(e *spec.Entry, f *Fact) error {
	if e.State == spec.StateRetracted {
		return nil
	}
	if e.Confirmed != (f.Listing.Decided != 0) {
		return bad("the entry is confirmed without a decision, or decided without being so")
	}
	return nil
}

// retracted checks the decision that ended the entry: of a dispute, or of its own
// addition.
func (c *checking) retracted(e *spec.Entry, f *Fact) error {
	d, err := c.decision(e.Since)
	if err != nil {
		return err
	}
	if d.Case == e.Case {
		return nil // an addition that ended unconfirmed
	}
	f.Retraction = new(Ruling)
	k, op, err := c.ruling(d.Case, f.Retraction)
	if err != nil {
		return err
	}
	against := k.Entry
	if op != nil {
		body, ok := op.Body.(*spec.Dispute)
		if !ok {
			return bad("the case that is shown is no dispute")
		}
		against = body.Entry
	}
	if k.Kind != spec.KindDispute || against != c.r.Entry || f.Retraction.Decided != e.Since {
		return bad("the dispute that is shown did not end the entry")
	}
	return c.applied(e.Since, f)
}

// ruling checks a case: who opened it, who approved, and what was decided. The
// operation that opened it is nil where the rules themselves did.
func (c *checking) ruling(id spec.Hash, out *Ruling) (*spec.Case, *spec.Signed, error) {
	var k spec.Case
	found, err := c.record(spec.CaseKey(id), &k)
	if err != nil {
		return nil, nil, err
	}
	if !found {
		return nil, nil, bad("the record of a case is missing")
	}
	var op *spec.Signed
	if k.Org != "" {
		if op, err = c.operation(k.Index); err != nil {
			return nil, nil, err
		}
		if op.ID != id || op.Op.Kind != k.Kind || op.Op.Org != k.Org {
			return nil, nil, bad("a case is not the one that its operation opened")
		}
	}
	*out = Ruling{Case: id, Reason: k.Reason, Opened: k.Index, Need: k.Need}
	if !k.Open() {
		if err := c.decided(id, &k, out); err != nil {
			return nil, nil, err
		}
	}
	return &k, op, c.approvers(id, &k, out)
}

func (c *checking) decided(id spec.Hash, k *spec.Case, out *Ruling) error {
	d, err := c.decision(k.Decided)
	if err != nil {
		return err
	}
	if d.Case != id || d.Outcome != k.Outcome || d.Yes != k.Yes || d.No != k.No || d.Abstain != k.Abstain || d.Policy != k.Policy {
		return bad("a decision is not that of its case")
	}
	out.Decided, out.At = k.Decided, time.UnixMilli(int64(k.DecidedMS))
	return nil
}

// approvers counts the approvals that are shown: as many as the case counted, and
// enough for what was decided.
func (c *checking) approvers(id spec.Hash, k *spec.Case, out *Ruling) error {
	for i := range c.r.Leaves {
		op := c.parsed[i].Signed
		if op == nil {
			continue
		}
		b, ok := op.Body.(*spec.Vote)
		if !ok || b.Case != id || b.Choice != spec.Approve {
			continue
		}
		if _, err := c.operation(c.r.Leaves[i].Index); err != nil {
			return err
		}
		out.Approvers = append(out.Approvers, op.Op.Org)
	}
	if k.Rule.ProposerCounts && !slices.Contains(out.Approvers, k.Org) && uint64(len(out.Approvers))+1 == k.Yes {
		member, err := c.member(k.Org)
		if err != nil {
			return err
		}
		if member {
			out.Approvers = append(out.Approvers, k.Org)
		}
	}
	slices.Sort(out.Approvers)
	if uint64(len(slices.Compact(slices.Clone(out.Approvers)))) != k.Yes || uint64(len(out.Approvers)) != k.Yes {
		return bad("%d approvals are shown where the case counted %d", len(out.Approvers), k.Yes)
	}
	tie := k.Kind == spec.KindDispute && k.Yes >= k.No
	if k.Outcome == spec.OutcomeAccepted && k.Yes < k.Need && !tie {
		return bad("a case was accepted with %d approvals of %d", k.Yes, k.Need)
	}
	return nil
}

// member reports whether an organisation has a vote: by the genesis document, or
// by its record in the state.
func (c *checking) member(org string) (bool, error) {
	if o, ok := c.v.genesis.Member(org); ok {
		return o.Role == spec.RoleMember, nil
	}
	var who spec.OrgRecord
	found, err := c.record(spec.OrgKey(org), &who)
	return found && who.Organisation.Role == spec.RoleMember, err
}

// signal checks that the entry lists the signal, and whether lookups find it.
func (c *checking) signal(e *spec.Entry, p *spec.Proposal, f *Fact) error {
	if len(c.r.Signal) == 0 {
		return nil
	}
	s := &c.r.Signal[0]
	o := spec.Opened{Salt: s.Salt, Item: int(e.Item), Signal: spec.Signal{Type: s.Type, Value: s.Value, Quality: int(min(s.Quality, 101))}}
	if err := o.Signal.Check(); err != nil {
		return err
	}
	if s.Index < e.First || s.Index >= e.First+e.Count {
		return bad("the signal is not one of the entry's")
	}
	commitment := o.Commitment()
	if err := tlog.CheckInclusion(s.Path, uint64(p.Signals()), s.Index, p.Root, spec.LeafHash(commitment[:])); err != nil {
		return err
	}
	f.Signal = &o.Signal
	f.Live = spec.Matchable(e.State) && !slices.Contains(e.Off(), s.Index-e.First)
	if !f.Live {
		if len(s.Live) != 0 {
			return bad("a signal that is not live has a proof that it is")
		}
		return nil
	}
	if len(s.Live) != 1 {
		return bad("the proof that the signal is live is missing")
	}
	meta, err := spec.Encode(&spec.LiveMeta{Entry: c.r.Entry, State: e.State, Since: e.Since, Sunset: e.Sunset, Labels: e.Labels})
	if err != nil {
		return err
	}
	k := o.Signal.Key()
	return s.Live[0].Check(tlog.LiveBits, k, spec.LiveLeaf(k, commitment, meta), c.root.LiveRoot)
}
