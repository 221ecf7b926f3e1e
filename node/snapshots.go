// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"log/slog"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation/state"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

// A stateSource serves the snapshots that the store keeps.
type stateSource struct {
	store *storage.Store
	final func() uint64 // size of what is final
	log   *slog.Logger
}

// Manifest implements state.Source.
func (s stateSource) Manifest(size, upto uint64) (*state.Manifest, error) {
	if have := s.store.Size(); upto > have {
		return nil, spec.Errorf(spec.CodeNotFound, "the log has %d leaves here", have)
	}
	kept, err := s.find(size, upto)
	if err != nil {
		return nil, err
	}
	h := kept.Head()
	proof, err := tlog.Consistency(s.store, h.Size, upto)
	if err != nil {
		return nil, gone(err)
	}
	go func() { // whoever asks for a manifest asks for the rest next
		if err := kept.Prepare(); err != nil && spec.CodeOf(err) != spec.CodeGone {
			s.log.Warn("preparing a snapshot", "size", h.Size, "error", err)
		}
	}()
	return &state.Manifest{
		Size: h.Size, Proof: proof, Frontier: h.Frontier, Leaf: h.Leaf, LeafProof: h.LeafProof,
		ChunkRoots: h.ChunkRoots, RuleRoots: h.RuleRoots, Bytes: kept.Bytes(),
	}, nil
}

// find returns the snapshot of a size, or with 0 the newest that is final and not
// above upto.
func (s stateSource) find(size, upto uint64) (*storage.Kept, error) {
	final := max(s.final(), upto) // who asks holds a final checkpoint of upto leaves
	least := uint64(0)
	for _, k := range s.store.Snapshots() {
		have := k.Head().Size
		if have <= final && (size == have || size == 0 && have <= upto) {
			return k, nil
		}
		least = have
	}
	return nil, p2p.Gone(least)
}

func (s stateSource) at(size uint64) (*storage.Kept, error) { return s.find(max(size, 1), size) }

// Chunk implements state.Source.
func (s stateSource) Chunk(size uint64, index uint32) ([]byte, error) {
	k, err := s.at(size)
	if err != nil {
		return nil, err
	}
	return k.Chunk(index)
}

// Rules implements state.Source.
func (s stateSource) Rules(size uint64, index uint32) ([]byte, error) {
	k, err := s.at(size)
	if err != nil {
		return nil, err
	}
	return k.Rules(index)
}

// Nodes implements state.Source.
func (s stateSource) Nodes(size uint64, tree, level int, index uint64) ([]spec.Hash, error) {
	k, err := s.at(size)
	if err != nil {
		return nil, err
	}
	return k.Nodes(tree, level, index)
}

// gone adds to the error of a part of the log that is not held here from where on
// it is.
func gone(err error) error {
	var g *storage.GoneError
	if errors.As(err, &g) {
		return p2p.Gone(g.First)
	}
	return err
}

// A stateStore is where a snapshot is installed.
type stateStore struct{ *replica }

// Staged implements state.Store.
func (s stateStore) Staged() (uint64, error) {
	h, err := s.store.Staged()
	if err != nil || h == nil {
		return 0, err
	}
	return h.Size, nil
}

// Stage implements state.Store.
func (s stateStore) Stage(m *state.Manifest) (state.Staging, error) {
	st, err := s.store.Stage(&storage.SnapshotHead{
		Size: m.Size, Frontier: m.Frontier, Leaf: m.Leaf, LeafProof: m.LeafProof, ChunkRoots: m.ChunkRoots, RuleRoots: m.RuleRoots,
	})
	if err != nil {
		return nil, err
	}
	return stagingOf{st, s.replica}, nil
}

type stagingOf struct {
	*storage.Staging
	r *replica
}

// Install implements state.Staging.
func (s stagingOf) Install(ctx context.Context, accept func() error) error {
	if err := s.Staging.Install(ctx, accept); err != nil {
		return err
	}
	s.r.changed()
	return nil
}
