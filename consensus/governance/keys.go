// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// keyChange opens a case on the keys of an organisation.
func keyChange(v *view, op *spec.Signed, k *spec.KeyChange) error {
	if err := keyPossible(v, k); err != nil {
		return err
	}
	if k.Since > v.leaf {
		return spec.Errorf(spec.CodeIndex, "the log does not reach index %d", k.Since)
	}
	if err := openQuota(v, op); err != nil {
		return err
	}
	c := spec.Case{Reason: k.Reason, Subject: k.Org}
	var err error
	if c.Excluded, err = ifMember(v, k.Org); err != nil {
		return err
	}
	return open(v, op, &c)
}

// keyPossible refuses a change that the organisation's keys do not allow.
func keyPossible(v *view, k *spec.KeyChange) error {
	var who spec.OrgRecord
	found, err := load(v, spec.OrgKey(k.Org), &who)
	if err != nil {
		return err
	}
	if !found {
		return spec.Errorf(spec.CodeOrg, "no organisation of this id is enrolled")
	}
	for _, old := range k.Old {
		if !slices.Contains(who.OpKeys(), old) {
			return spec.Errorf(spec.CodeKey, "the key to revoke is not an op key of %s", k.Org)
		}
	}
	if k.Use == spec.UseOp && len(who.OpKeys())+len(k.New)-len(k.Old) > spec.MaxOpKeys {
		return spec.Errorf(spec.CodeTooLarge, "an organisation has at most %d op keys", spec.MaxOpKeys)
	}
	return unused(v, k.New...)
}

// concludeKey changes the keys and begins a new epoch. Where operations of the old
// key are doubted, its votes in open cases are taken back at once and decisions
// are reviewed in the ticks that follow.
func concludeKey(v *view, id spec.Hash, c *spec.Case) error {
	k, err := content(v, id, new(spec.KeyChange))
	if err != nil {
		return err
	}
	var who spec.OrgRecord
	if err := need(v, spec.OrgKey(k.Org), &who); err != nil {
		return err
	}
	exchange(&who, k)
	if err := v.put(spec.OrgKey(k.Org), &who); err != nil {
		return err
	}
	clock, err := v.clock()
	if err != nil {
		return err
	}
	clock.Epoch++
	if k.Use == spec.UseCosign {
		clock.Turn = spec.Turned
	}
	if err := v.setClock(); err != nil {
		return err
	}
	if k.Since == 0 {
		return nil
	}
	review := spec.ReviewRecord{Case: id, Since: k.Since, Next: k.Since, Until: c.Decided}
	if err := v.put(spec.ReviewKey(k.Org, k.Old[0].ID()), &review); err != nil {
		return err
	}
	return eachOpen(v, func(other spec.Hash, o *spec.Case) error { return doubt(v, other, o, k) })
}

// exchange puts the new key in the place of the old one. The first op key stands
// on the card.
func exchange(who *spec.OrgRecord, k *spec.KeyChange) {
	card := &who.Organisation
	switch k.Use {
	case spec.UseCosign:
		card.CosignKey = k.New[0]
		return
	case spec.UseLibp2p:
		card.Libp2pKey = k.New[0]
		return
	}
	keys := append(who.OpKeys(), k.New...)
	for _, old := range k.Old {
		keys = slices.DeleteFunc(keys, func(x spec.PublicKey) bool { return x == old })
		who.Revoked = append(who.Revoked, old)
	}
	card.OpKey, who.More = spec.PublicKey{}, nil
	if len(keys) > 0 {
		card.OpKey, who.More = keys[0], keys[1:]
	}
}

// doubt takes back what a lost key did in an open case.
func doubt(v *view, id spec.Hash, c *spec.Case, k *spec.KeyChange) error {
	key := k.Old[0].ID()
	opened := c.Org == k.Org && c.Key == key && c.Index >= k.Since
	voted, err := unvote(v, id, c, k.Org, func(b *spec.VoteRecord) bool { return b.Key == key && b.Index >= k.Since })
	if err != nil || !opened && !voted {
		return err
	}
	c.Doubted = true // perhaps again, for another key
	if err := revokedNotice(v, id, k.Org); err != nil {
		return err
	}
	return settle(v, id, c)
}

func revokedNotice(v *view, id spec.Hash, org string) error {
	clock, err := v.clock()
	if err != nil {
		return err
	}
	_, err = v.derive(&spec.Notice{Tag: spec.TagNotice, What: spec.NoticeRevoked, Level: 1, Case: id, Orgs: []string{org}, TimeMS: clock.TimeMS})
	return err
}
