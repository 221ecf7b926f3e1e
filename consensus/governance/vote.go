// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"github.com/tocsin-db/tocsin/spec"
)

// vote records a ballot, in the place of an earlier one of the same organisation,
// and decides the case if that is enough.
func vote(v *view, op *spec.Signed, b *spec.Vote) error {
	c, err := loadCase(v, b.Case)
	if err != nil {
		return err
	}
	if !votesOn(v.who, c) {
		return spec.Errorf(spec.CodeElectorate, "%s does not vote on this case", op.Op.Org)
	}
	if err := itemsOf(c, b); err != nil {
		return err
	}
	key := spec.VoteKey(b.Case, op.Op.Org)
	var before spec.VoteRecord
	found, err := load(v, key, &before)
	if err != nil {
		return err
	}
	if found {
		add(c, before.Choice, ^uint64(0))
	}
	add(c, b.Choice, 1)
	c.PerItem = c.PerItem || tellsItemsApart(b)
	ballot := spec.VoteRecord{
		Choice: b.Choice, Except: b.Except, Reason: b.Reason, Index: v.leaf - 1, Key: op.Op.Key, Override: b.Override, Blast: b.Blast,
	}
	if c.Urgent > 0 {
		clock, err := v.clock()
		if err != nil {
			return err
		}
		if ballot.Barred, err = isBarred(v, op.Op.Org, clock); err != nil {
			return err
		}
	}
	if err := v.put(key, &ballot); err != nil {
		return err
	}
	return settle(v, b.Case, c)
}

func itemsOf(c *spec.Case, b *spec.Vote) error {
	last := uint64(0)
	for _, list := range [][]uint64{b.Except, b.Override} {
		for _, n := range list {
			last = max(last, n+1)
		}
	}
	for _, n := range b.Blast {
		last = max(last, n.Item+1)
	}
	if last > c.Items {
		return spec.Errorf(spec.CodeMalformed, "the case has no item %d", last-1)
	}
	return nil
}

// tellsItemsApart reports whether items must be counted one by one from now on.
func tellsItemsApart(b *spec.Vote) bool {
	lawful := uint64(0)
	for _, x := range b.Blast {
		lawful += min(x.Lawful, 1)
	}
	return len(b.Except)+len(b.Override) > 0 || lawful > 0
}

// withdraw ends an open case of the signer.
func withdraw(v *view, op *spec.Signed, w *spec.Withdraw) error {
	c, err := loadCase(v, w.Case)
	if err != nil {
		return err
	}
	if c.Org != op.Op.Org {
		return spec.Errorf(spec.CodeNotOpener, "only the organisation that opened a case withdraws it")
	}
	if c.Kind == spec.KindDispute {
		others, err := secondedBy(v, w.Case, c)
		if err != nil {
			return err
		}
		if others {
			return spec.Errorf(spec.CodeSeconded, "another member stands behind the dispute: it is ruled on")
		}
	}
	return conclude(v, w.Case, c, spec.OutcomeWithdrawn, nil)
}
