// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"

	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
)

// A finalSource is the log as others may follow it: up to the newest final
// checkpoint, which every head carries.
type finalSource struct {
	*replica
	final *cosign.Keeper
}

// Size implements federation.Source. It ends a group: a final checkpoint does, and
// so does what was applied.
func (s finalSource) Size() uint64 { return min(s.final.Newest().Size, s.replica.Size()) }

// Wait implements federation.Source.
func (s finalSource) Wait(ctx context.Context, size uint64) error {
	if err := s.final.Wait(ctx, size); err != nil {
		return err
	}
	return s.store.Wait(ctx, size)
}

// Read implements federation.Source.
func (s finalSource) Read(ctx context.Context, role string, from uint64, maxBytes int) ([]federation.Group, error) {
	groups, err := s.replica.Read(ctx, role, from, maxBytes)
	size := s.Size()
	for len(groups) > 0 && groups[len(groups)-1].Next() > size {
		groups = groups[:len(groups)-1]
	}
	return groups, err
}

// Read returns whole groups from the leaf at index from,
// with the openings that the role may see. Members see every opening. Others see
// those of accepted additions, without the items that were left out and without
// free text.
func (r *replica) Read(_ context.Context, role string, from uint64, maxBytes int) ([]federation.Group, error) {
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
		return gone(err)
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

// open adds the openings that the leaves call for.
func (r *replica) open(g *federation.Group, role string) error {
	for _, b := range g.Leaves {
		var id spec.Hash
		var excluded []byte
		if role == spec.RoleMember && spec.IsEnvelope(b) {
			id = spec.LeafHash(b)
		} else if role != spec.RoleMember {
			leaf, err := spec.ParseLeaf(b)
			if err != nil {
				return err
			}
			if leaf.Decision == nil || leaf.Decision.Outcome != spec.OutcomeAccepted {
				continue
			}
			id, excluded = leaf.Decision.Case, leaf.Decision.Excluded
		} else {
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
			o = forReaders(o, excluded)
		}
		enc, err := o.Encode()
		if err != nil {
			return err
		}
		g.Openings = append(g.Openings, federation.Opening{Case: id, Bytes: enc})
	}
	return nil
}

// forReaders leaves the commitments alone of items that were left out, and no
// free text.
func forReaders(o *spec.Opening, excluded []byte) *spec.Opening {
	out := &spec.Opening{Signals: make([]spec.Opened, len(o.Signals))}
	for i, s := range o.Signals {
		if !s.Erased && s.Item/8 < len(excluded) && excluded[s.Item/8]&(1<<(s.Item%8)) != 0 {
			s = spec.Opened{Erased: true, Blinded: s.Commitment()}
		}
		out.Signals[i] = s
	}
	return out
}
