// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"fmt"
	"strings"

	"github.com/tocsin-db/tocsin/spec"
)

// maxReview bounds how many decisions one tick looks at again; the rest wait for
// the next, which a pending review brings at once.
const maxReview = 1000

// reviews goes on with the walks through decisions in which a revoked key may have
// taken part.
func reviews(v *view) error {
	type walk struct {
		key []byte
		spec.ReviewRecord
	}
	var walks []walk
	r := new(spec.ReviewRecord)
	err := each(v, spec.ReviewPrefix, r, func() { *r = spec.ReviewRecord{} }, func(key []byte) (bool, error) {
		walks = append(walks, walk{append([]byte(nil), key...), *r})
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, w := range walks {
		if v.weight >= maxWeight {
			break
		}
		org, _, _ := strings.Cut(string(w.key[1:]), "\x00")
		if err := review(v, w.key, org, &w.ReviewRecord); err != nil {
			return err
		}
	}
	return nil
}

// review looks at the next decisions of one walk.
func review(v *view, key []byte, org string, r *spec.ReviewRecord) error {
	k, err := content(v, r.Case, new(spec.KeyChange))
	if err != nil {
		return err
	}
	cases, next, err := decidedSince(v, r)
	if err != nil {
		return err
	}
	for _, c := range cases {
		if v.weight >= maxWeight {
			next = c.index
			break
		}
		if err := reviewCase(v, c.id, org, k, r); err != nil {
			return err
		}
	}
	if next == 0 {
		v.delete(key)
		return nil
	}
	r.Next = next
	return v.put(key, r)
}

// A decidedCase is one with the index of its decision.
type decidedCase struct {
	index uint64
	id    spec.Hash
}

// decidedSince returns the cases decided from r.Next on, and where to go on, 0
// when there is no more.
func decidedSince(v *view, r *spec.ReviewRecord) (cases []decidedCase, next uint64, err error) {
	bad := false
	err = v.RecordsFrom(spec.DecidedPrefix, spec.DecidedKey(r.Next), func(key, value []byte) bool {
		index, id, ok := spec.ParseDecided(key, value)
		if !ok {
			bad = true
			return false
		}
		if index >= r.Until {
			return false
		}
		if len(cases) == maxReview {
			next = index
			return false
		}
		cases = append(cases, decidedCase{index, id})
		return true
	})
	if err == nil && bad {
		err = fmt.Errorf("%w: a decided case cannot be read", ErrState)
	}
	return cases, next, err
}

// reviewCase puts a decision in which the key took part to a new vote: each entry
// that it listed is disputed by the rules.
func reviewCase(v *view, id spec.Hash, org string, k *spec.KeyChange, r *spec.ReviewRecord) error {
	var c spec.Case
	if err := need(v, spec.CaseKey(id), &c); err != nil {
		return err
	}
	key := k.Old[0].ID()
	took := c.Org == org && c.Key == key && c.Index >= r.Since
	var b spec.VoteRecord
	if found, err := load(v, spec.VoteKey(id, org), &b); err != nil {
		return err
	} else if found {
		took = took || b.Key == key && b.Index >= r.Since
	}
	if !took {
		return nil
	}
	c.Doubted = true // perhaps again, for another key
	if err := v.put(spec.CaseKey(id), &c); err != nil {
		return err
	}
	if err := revokedNotice(v, id, org); err != nil {
		return err
	}
	if c.Kind != spec.KindProposal || c.Outcome != spec.OutcomeAccepted {
		return nil
	}
	for i := range int(c.Items) {
		if err := reviewEntry(v, r.Case, spec.EntryID(id, i)); err != nil {
			return err
		}
	}
	return nil
}

// reviewEntry opens the rules' own dispute against an entry.
func reviewEntry(v *view, revocation, entry spec.Hash) error {
	d := &spec.Dispute{Entry: entry, Reason: "key-revoked"}
	e, err := disputable(v, d)
	if spec.CodeOf(err) != "" {
		return nil // left out, retracted, or under dispute already
	} else if err != nil {
		return err
	}
	policy, err := v.policy()
	if err != nil {
		return err
	}
	clock, err := v.clock()
	if err != nil {
		return err
	}
	id := spec.ReviewID(revocation, entry)
	if err := flag(v, id, d, e, false); err != nil {
		return err
	}
	c := spec.Case{Kind: spec.KindDispute, Index: v.leaf - 1, Reason: d.Reason, Entry: entry}
	if c.Excluded, err = conflicted(v, e.Org); err != nil {
		return err
	}
	start(&c, policy, clock)
	if err := v.put(spec.ContentKey(id), d); err != nil {
		return err
	}
	return settle(v, id, &c)
}
