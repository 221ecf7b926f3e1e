// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"bytes"
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// policyChange opens a case on the policy.
func policyChange(v *view, op *spec.Signed, p *spec.PolicyChange) error {
	if err := policyPossible(v, p); err != nil {
		return err
	}
	return openChange(v, op, "policy")
}

func openChange(v *view, op *spec.Signed, reason string) error {
	if err := openQuota(v, op); err != nil {
		return err
	}
	return open(v, op, &spec.Case{Reason: reason})
}

// policyPossible refuses a policy that was written for another one than is in
// force, or whose sequencers are no members.
func policyPossible(v *view, p *spec.PolicyChange) error {
	clock, err := v.clock()
	if err != nil {
		return err
	}
	if p.Over != clock.Policy {
		return spec.Errorf(spec.CodeOutdated, "the policy in force is another than the one that this would replace")
	}
	for _, id := range p.Policy.Sequencers {
		if named, err := ifMember(v, id); err != nil {
			return err
		} else if named == nil {
			return spec.Errorf(spec.CodePolicy, "a sequencer is a member")
		}
	}
	return nil
}

// concludePolicy puts the policy in force and begins a new epoch.
func concludePolicy(v *view, id spec.Hash) error {
	p, err := content(v, id, new(spec.PolicyChange))
	if err != nil {
		return err
	}
	clock, err := v.clock()
	if err != nil {
		return err
	}
	clock.Epoch++
	return setPolicy(v, &p.Policy)
}

// setPolicy puts a policy in force and writes the clock.
func setPolicy(v *view, p *spec.Policy) error {
	clock, err := v.clock()
	if err != nil {
		return err
	}
	v.rules = p
	clock.Policy, clock.Schemas, clock.MatchableMS, clock.Turn = p.Digest(), p.Schemas, p.Clocks.MatchableMS, max(clock.Turn, spec.Turned)
	if err := v.put(spec.PolicyKey, p); err != nil {
		return err
	}
	if err := v.put(spec.PastPolicyKey(clock.Policy), p); err != nil {
		return err
	}
	if err := unready(v); err != nil {
		return err
	}
	return v.setClock()
}

// unready forgets that those were ready who are sequencers no more: should they
// become sequencers again, they say so again.
func unready(v *view) error {
	ids, err := Sequencers(v)
	if err != nil {
		return err
	}
	var gone []string
	err = v.Records(spec.ReadyPrefix, func(key, _ []byte) bool {
		if id := string(key[len(spec.ReadyPrefix):]); !slices.Contains(ids, id) {
			gone = append(gone, id)
		}
		return true
	})
	for _, id := range gone {
		v.delete(spec.ReadyKey(id))
	}
	return err
}

// taxonomyChange opens a case on the taxonomy.
func taxonomyChange(v *view, op *spec.Signed, t *spec.TaxonomyChange) error {
	if err := taxonomyPossible(v, t); err != nil {
		return err
	}
	return openChange(v, op, "taxonomy")
}

// taxonomyPossible refuses what is not the next version, or loses a term.
func taxonomyPossible(v *view, t *spec.TaxonomyChange) error {
	var now spec.Taxonomy
	if err := need(v, spec.TaxonomyKey, &now); err != nil {
		return err
	}
	if t.Taxonomy.Version != now.Version+1 {
		return spec.Errorf(spec.CodeOutdated, "the taxonomy in force is version %d, the next one is %d", now.Version, now.Version+1)
	}
	for i := range now.Terms {
		if _, ok := t.Taxonomy.Find(now.Terms[i].Label()); !ok {
			return spec.Errorf(spec.CodeLabel, "terms are made inactive, never taken away")
		}
	}
	return nil
}

func concludeTaxonomy(v *view, id spec.Hash) error {
	t, err := content(v, id, new(spec.TaxonomyChange))
	if err != nil {
		return err
	}
	return v.put(spec.TaxonomyKey, &t.Taxonomy)
}

// allowChange opens a case on the allow-list.
func allowChange(v *view, op *spec.Signed, a *spec.AllowChange) error {
	if err := allowPossible(v, a); err != nil {
		return err
	}
	return openChange(v, op, "allow-list")
}

// allowPossible refuses more values than the list may have.
func allowPossible(v *view, a *spec.AllowChange) error {
	for _, t := range typesOf(a) {
		list, err := changedList(v, t, a)
		if err != nil {
			return err
		}
		if len(list) > spec.MaxAllowed {
			return spec.Errorf(spec.CodeTooLarge, "the allow-list has at most %d values of a type", spec.MaxAllowed)
		}
	}
	return nil
}

func concludeAllow(v *view, id spec.Hash) error {
	a, err := content(v, id, new(spec.AllowChange))
	if err != nil {
		return err
	}
	for _, t := range typesOf(a) {
		list, err := changedList(v, t, a)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			v.delete(spec.AllowedKey(t))
		} else {
			v.set(spec.AllowedKey(t), bytes.Join(list, nil))
		}
	}
	return nil
}

func typesOf(a *spec.AllowChange) []string {
	var types []string
	for _, x := range slices.Concat(a.Add, a.Remove) {
		if !slices.Contains(types, x.Type) {
			types = append(types, x.Type)
		}
	}
	slices.Sort(types)
	return types
}

// changedList is the list of one type after a change: its values, sorted.
func changedList(v *view, typ string, a *spec.AllowChange) ([][]byte, error) {
	list, err := allowList(v, typ)
	if err != nil {
		return nil, err
	}
	for _, x := range a.Add {
		if i, found := slices.BinarySearchFunc(list, x.Value, bytes.Compare); x.Type == typ && !found {
			list = slices.Insert(list, i, x.Value)
		}
	}
	for _, x := range a.Remove {
		if i, found := slices.BinarySearchFunc(list, x.Value, bytes.Compare); x.Type == typ && found {
			list = slices.Delete(list, i, i+1)
		}
	}
	return list, nil
}

// allowList returns the values of one type on the allow-list, sorted. The record
// is their bytes one after the other.
func allowList(st State, typ string) ([][]byte, error) {
	b, err := st.Record(spec.AllowedKey(typ))
	if err != nil || b == nil {
		return nil, err
	}
	t, ok := spec.SignalTypeOf(typ)
	if !ok || t.Size == 0 || len(b)%t.Size != 0 {
		return nil, ErrState
	}
	var list [][]byte
	for i := 0; i < len(b); i += t.Size {
		list = append(list, b[i:i+t.Size:i+t.Size])
	}
	return list, nil
}
