// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"

	"github.com/tocsin-db/tocsin/spec"
)

// Policy implements api.Backend.
func (n *Node) Policy(context.Context) (*spec.Policy, error) {
	p := new(spec.Policy)
	return p, readRecord(n.store, spec.PolicyKey, p)
}

// Taxonomy implements api.Backend.
func (n *Node) Taxonomy(context.Context) (*spec.Taxonomy, error) {
	t := new(spec.Taxonomy)
	return t, readRecord(n.store, spec.TaxonomyKey, t)
}

// Allowed implements api.Backend.
func (n *Node) Allowed(context.Context) ([]spec.Allowed, error) {
	var out []spec.Allowed
	for _, t := range spec.SignalTypes() {
		if t.Size == 0 {
			continue
		}
		b, err := n.store.Record(spec.AllowedKey(t.Name))
		if err != nil {
			return nil, err
		}
		if len(b)%t.Size != 0 {
			return nil, spec.Errorf(spec.CodeCorrupt, "the record of allowed values of type %s has a length that it cannot have", t.Name)
		}
		for i := 0; i < len(b); i += t.Size {
			out = append(out, spec.Allowed{Type: t.Name, Value: b[i : i+t.Size]})
		}
	}
	return out, nil
}
