// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"sync"

	"github.com/tocsin-db/tocsin/node/bootstrap"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A finalSource is the log as others may follow it: up to a final checkpoint that
// this node has the whole log of.
type finalSource struct {
	*replica
	final *cosign.Keeper

	mu      sync.Mutex
	covered cosign.Final // newest that the log reaches
	coming  cosign.Final // newest once, not reached yet
}

// Final implements federation.Source.
func (s *finalSource) Final() (size uint64, note []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.replica.Size()
	if newest := s.final.Newest(); newest.Size <= have {
		s.covered, s.coming = newest, cosign.Final{}
	} else if s.coming.Size <= have { // a log that grows all the time is always behind the newest
		if s.coming.Size > s.covered.Size {
			s.covered = s.coming
		}
		s.coming = newest
	}
	return s.covered.Size, s.covered.Note
}

// Wait implements federation.Source.
func (s *finalSource) Wait(ctx context.Context, size uint64) error {
	for {
		if covered, _ := s.Final(); covered > size {
			return nil
		}
		if err := s.final.Wait(ctx, size); err != nil {
			return err
		}
		s.mu.Lock()
		coming := s.coming.Size
		s.mu.Unlock()
		if err := s.store.Wait(ctx, max(coming, size+1)-1); err != nil {
			return err
		}
	}
}

// Prove implements federation.Source.
func (s *finalSource) Prove(old, size uint64) ([]spec.Hash, error) {
	p, err := tlog.Consistency(s.store, old, size)
	return p, bootstrap.Gone(err)
}

// Read implements federation.Source.
func (s *finalSource) Read(ctx context.Context, role string, from uint64, maxBytes int) ([]federation.Group, error) {
	groups, err := s.replica.Read(ctx, role, from, maxBytes)
	size, _ := s.Final()
	for len(groups) > 0 && groups[len(groups)-1].Next() > size {
		groups = groups[:len(groups)-1]
	}
	return groups, err
}

// Read returns whole groups from the leaf at index from,
// with the openings that the role may see. Members see every opening. Readers see
// those of accepted additions, without the items that were left out and without
// free text, and in the digest tier with keys in the place of values. Others see none.
func (r *replica) Read(_ context.Context, role string, from uint64, maxBytes int) ([]federation.Group, error) {
	if r.keyed && (role == spec.RoleMember || role == spec.RoleReader) {
		return nil, errNoValues
	}
	if err := r.checkBoundary(from); err != nil {
		return nil, err
	}
	var groups []federation.Group
	bytes := 0
	for bytes < maxBytes {
		g, err := r.readGroup(from)
		if err != nil {
			return nil, err
		}
		if len(g.Leaves) == 0 {
			break
		}
		if err := r.open(&g, role); err != nil {
			return nil, err
		}
		from += uint64(len(g.Leaves))
		bytes += weight(&g)
		groups = append(groups, g)
	}
	return groups, nil
}

func weight(g *federation.Group) int {
	n := 0
	for _, l := range g.Leaves {
		n += len(l)
	}
	for _, o := range g.Openings {
		n += len(o.Bytes)
	}
	return n
}

func (r *replica) checkBoundary(from uint64) error {
	if from == 0 && r.store.First() == 0 {
		return nil
	}
	if from < r.store.First() {
		return p2p.Gone(r.store.First())
	}
	before, err := r.store.Leaves(from-1, 1)
	if err != nil {
		return bootstrap.Gone(err)
	}
	if len(before) == 0 || !spec.EndsGroup(before[0]) {
		return spec.Errorf(spec.CodeNotFound, "no group of leaves begins at %d", from)
	}
	return nil
}

// readGroup reads up to the root of the state that ends the group.
func (r *replica) readGroup(from uint64) (federation.Group, error) {
	g := federation.Group{First: from}
	for {
		leaves, err := r.store.Leaves(from+uint64(len(g.Leaves)), 64<<10)
		if err != nil || len(leaves) == 0 {
			return g, err
		}
		for _, l := range leaves {
			g.Leaves = append(g.Leaves, l)
			if spec.EndsGroup(l) {
				return g, nil
			}
		}
	}
}

// open adds the openings that the leaves call for, as the role may see them.
func (r *replica) open(g *federation.Group, role string) error {
	for _, b := range g.Leaves {
		id, excluded, ok, err := calledFor(b, role)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		o, err := r.store.Opening(id)
		if err != nil {
			return err
		}
		if o == nil || len(o.Signals) == 0 && role != spec.RoleMember {
			continue
		}
		if role != spec.RoleMember {
			o = forReaders(o, excluded, role)
		}
		enc, err := o.Encode()
		if err != nil {
			return err
		}
		g.Openings = append(g.Openings, federation.Opening{Case: id, Bytes: enc})
	}
	return nil
}

// calledFor is the case whose opening goes with a leaf for a role, and which of its
// items do not: for members with the operation, for readers with the decision that
// accepted it.
func calledFor(b []byte, role string) (id spec.Hash, excluded []byte, ok bool, err error) {
	switch role {
	case spec.RoleMember:
		if !spec.IsEnvelope(b) {
			return id, nil, false, nil
		}
		return spec.LeafHash(b), nil, true, nil
	case spec.RoleReader, roleDigest:
		leaf, err := spec.ParseLeaf(b)
		if err != nil || leaf.Decision == nil || leaf.Decision.Outcome != spec.OutcomeAccepted {
			return id, nil, false, err
		}
		return leaf.Decision.Case, leaf.Decision.Excluded, true, nil
	}
	return id, nil, false, nil
}

// forReaders leaves the commitments alone of items that were left out, and no
// free text; for the digest tier it leaves no value.
func forReaders(o *spec.Opening, excluded []byte, role string) *spec.Opening {
	out := &spec.Opening{Signals: make([]spec.Opened, len(o.Signals))}
	for i, s := range o.Signals {
		if !s.Erased && s.Item/8 < len(excluded) && excluded[s.Item/8]&(1<<(s.Item%8)) != 0 {
			s = spec.Opened{Erased: true, Blinded: s.Commitment()}
		}
		out.Signals[i] = s
	}
	if role == roleDigest {
		return out.Keys()
	}
	return out
}
