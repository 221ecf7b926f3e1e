// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/consortia"
	"github.com/tocsin-db/tocsin/spec"
)

// loadImports reads this consortium's import policy. Once the node runs, labels that
// are not known are refused; when it starts, its state may be older than its file.
func (n *Node) loadImports(check bool) error {
	n.policies.Lock()
	defer n.policies.Unlock()
	p, err := consortia.LoadPolicy(n.cfg.Dir)
	if err == nil && check {
		err = n.knowLabels(p)
	}
	if err == nil {
		n.useImports(p)
	}
	return err
}

// useImports puts a policy into force. n.policies is held, so that what is in force is
// what the file says.
func (n *Node) useImports(p *consortia.Policy) {
	n.policy.Store(p)
	if p.Plain() {
		p = nil
	}
	n.imports.Store(p)
}

// knowLabels refuses a label that neither the taxonomy nor any entry has: a word
// misspelt would be a rule that never holds.
func (n *Node) knowLabels(p *consortia.Policy) error {
	terms, err := n.Taxonomy(context.Background())
	if err != nil {
		return err
	}
	for _, l := range slices.Sorted(maps.Keys(p.Labels)) {
		if _, ok := terms.Find(l); ok {
			continue
		}
		some, _, err := n.Entries(context.Background(), api.EntryFilter{Label: l}, api.Page{Limit: 1})
		if err != nil {
			return err
		}
		if len(some) == 0 {
			return spec.Errorf(spec.CodeLabel, "the consortium %s has no label %q, neither in its taxonomy nor on an entry", n.name, l)
		}
	}
	return nil
}

// ReloadImports reads the import policies of all consortia again. One that is wrong
// changes nothing, and is told.
func (n *Node) ReloadImports() error {
	err := n.loadImports(true)
	for _, c := range n.further.all() {
		if child := c.node.Load(); child != nil {
			err = errors.Join(err, child.loadImports(true))
		}
	}
	return err
}

// SetImports implements api.Backend.
func (n *Node) SetImports(_ context.Context, name string, p *consortia.Policy) error {
	at, err := n.named(name)
	if err != nil {
		return err
	}
	if err := p.Check(); err != nil {
		return err
	}
	if err := at.knowLabels(p); err != nil {
		return err
	}
	at.policies.Lock()
	defer at.policies.Unlock()
	if err := p.Save(at.cfg.Dir); err != nil {
		return err
	}
	at.useImports(p)
	return nil
}

// named finds the running node of a consortium.
func (n *Node) named(name string) (*Node, error) {
	if name == n.name {
		return n, nil
	}
	c := n.further.find(name)
	if c == nil {
		return nil, consortia.Unknown(name)
	}
	if child := c.node.Load(); child != nil {
		return child, nil
	}
	return nil, c.why.Load()
}

// FollowConsortium implements api.Backend.
func (n *Node) FollowConsortium(_ context.Context, name string) error {
	f := n.further
	if f == nil {
		return spec.Errorf(spec.CodeUsage, "consortia are added to the node's own")
	}
	if name == n.name {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := consortia.Find(n.cfg.Dir, name)
	switch {
	case err != nil:
		return err
	case !p.Joined:
		return spec.Errorf(spec.CodeNotReady, "the consortium %s has not enrolled this node yet", name)
	case f.over:
		return spec.Errorf(spec.CodeNotReady, "the node ends")
	}
	if c := f.find(name); c != nil {
		if !c.failed.Load() {
			return nil
		}
		f.end(c)
	}
	if len(f.all()) >= consortia.MaxFurther {
		return spec.Errorf(spec.CodeTooLarge, "a node follows at most %d consortia beside its own", consortia.MaxFurther)
	}
	f.begin(p)
	return nil
}

// LeaveConsortium implements api.Backend.
func (n *Node) LeaveConsortium(_ context.Context, name string) error {
	f := n.further
	if f == nil || name == n.name {
		return spec.Errorf(spec.CodeUsage, "a node does not leave its own consortium: stop it and delete its directory")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := consortia.FindFurther(n.cfg.Dir, name) // it may be damaged
	if err != nil {
		return err
	}
	if c := f.find(name); c != nil {
		f.end(c)
	}
	return consortia.Remove(p)
}

// Consortia implements api.Backend.
func (n *Node) Consortia(ctx context.Context) ([]api.Consortium, error) {
	own := n.asConsortium(ctx, n.name)
	own.Own, own.Checks = true, nil
	list := []api.Consortium{own}
	for _, c := range n.further.all() {
		if child := c.node.Load(); child != nil {
			list = append(list, child.asConsortium(ctx, c.place.Name))
			continue
		}
		state := "opening"
		if c.failed.Load() {
			state = "failed"
		}
		p, err := consortia.LoadPolicy(c.place.Dir)
		if err != nil {
			p = &consortia.Policy{Default: consortia.Trust}
		}
		list = append(list, api.Consortium{
			Name: c.place.Name, Origin: c.place.Origin, Role: spec.RoleReader, State: state, NotAnswering: c.why.Load().Message,
			Imports: p, Checks: c.checks(), Freshness: api.Freshness{Stale: true},
		})
	}
	return list, nil
}

// asConsortium tells of the consortium of one running node.
func (n *Node) asConsortium(ctx context.Context, name string) api.Consortium {
	out := api.Consortium{
		Name: name, Origin: n.genesis.Genesis.Origin(), Organisation: n.id.Organisation.ID, Role: n.id.Organisation.Role,
		Running: true, State: "sequences", Imports: n.policy.Load(), Entries: n.store.Head().Entries,
		Checks: n.Ready(ctx), Freshness: n.freshness(),
	}
	if st := n.Sync(); st != nil {
		out.State = string(st.State)
	}
	if _, err := n.mayAnswer(); err != nil {
		out.NotAnswering = err.Error()
	}
	return out
}
