// SPDX-License-Identifier: Apache-2.0

// Package bootstrap joins the snapshots of storage with the streams that carry them:
// it serves those that a store keeps, and is where a fetched one is installed.
package bootstrap

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

// A Source serves the snapshots that a store keeps.
type Source struct {
	Store  *storage.Store
	Final  func() uint64 // size of what is final
	Logger *slog.Logger
}

// Manifest implements state.Source.
func (s Source) Manifest(size, upto uint64) (*state.Manifest, error) {
	if have := s.Store.Size(); upto > have {
		return nil, spec.Errorf(spec.CodeNotFound, "the log has %d leaves here", have)
	}
	kept, err := s.find(size, upto)
	if err != nil {
		return nil, err
	}
	h := kept.Head()
	proof, err := tlog.Consistency(s.Store, h.Size, upto)
	if err != nil {
		return nil, Gone(err)
	}
	go func() { // whoever asks for a manifest asks for the rest next
		if err := kept.Prepare(); err != nil && spec.CodeOf(err) != spec.CodeGone {
			s.Logger.Warn("preparing a snapshot", "size", h.Size, "error", err)
		}
	}()
	return &state.Manifest{
		Size: h.Size, Proof: proof, Frontier: h.Frontier, Leaf: h.Leaf, LeafProof: h.LeafProof,
		ChunkRoots: h.ChunkRoots, RuleRoots: h.RuleRoots, Bytes: kept.Bytes(),
	}, nil
}

// find returns the snapshot of a size, or with 0 the newest that is final and not
// above upto.
func (s Source) find(size, upto uint64) (*storage.Kept, error) {
	final := max(s.Final(), upto) // who asks holds a final checkpoint of upto leaves
	least := uint64(0)
	for _, k := range s.Store.Snapshots() {
		have := k.Head().Size
		if have <= final && (size == have || size == 0 && have <= upto) {
			return k, nil
		}
		least = have
	}
	return nil, p2p.Gone(least)
}

func (s Source) at(size uint64) (*storage.Kept, error) { return s.find(max(size, 1), size) }

// Chunk implements state.Source.
func (s Source) Chunk(size uint64, index uint32) ([]byte, error) {
	k, err := s.at(size)
	if err != nil {
		return nil, err
	}
	return k.Chunk(index)
}

// Keys implements state.Source.
func (s Source) Keys(size uint64, index uint32) ([]byte, error) {
	k, err := s.at(size)
	if err != nil {
		return nil, err
	}
	return k.Keys(index)
}

// Rules implements state.Source.
func (s Source) Rules(size uint64, index uint32) ([]byte, error) {
	k, err := s.at(size)
	if err != nil {
		return nil, err
	}
	return k.Rules(index)
}

// Nodes implements state.Source.
func (s Source) Nodes(size uint64, tree, level int, index uint64) ([]spec.Hash, error) {
	k, err := s.at(size)
	if err != nil {
		return nil, err
	}
	return k.Nodes(tree, level, index)
}

// Gone adds to the error of a part of the log that is not held here from where on
// it is.
func Gone(err error) error {
	var g *storage.GoneError
	if errors.As(err, &g) {
		return p2p.Gone(g.First)
	}
	return err
}

// A Sink is where a snapshot is installed.
type Sink struct {
	Store   *storage.Store
	Changed func() // called once another state is in place
}

// Staged implements state.Store.
func (s Sink) Staged() (uint64, error) {
	h, err := s.Store.Staged()
	if err != nil || h == nil {
		return 0, err
	}
	return h.Size, nil
}

// Stage implements state.Store.
func (s Sink) Stage(m *state.Manifest) (state.Staging, error) {
	st, err := s.Store.Stage(&storage.SnapshotHead{
		Size: m.Size, Frontier: m.Frontier, Leaf: m.Leaf, LeafProof: m.LeafProof, ChunkRoots: m.ChunkRoots, RuleRoots: m.RuleRoots,
	})
	if err != nil {
		return nil, err
	}
	return staging{st, s.Changed}, nil
}

type staging struct {
	*storage.Staging
	changed func()
}

// Install implements state.Staging.
func (s staging) Install(ctx context.Context, accept func() error) error {
	if err := s.Staging.Install(ctx, accept); err != nil {
		return err
	}
	s.changed()
	return nil
}
