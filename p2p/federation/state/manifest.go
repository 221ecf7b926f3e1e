// SPDX-License-Identifier: Apache-2.0

package state

import (
	"math/bits"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A Manifest says what the state at a snapshot size is made of, and proves it
// against a log that the asker knows.
type Manifest struct {
	_          struct{} `cbor:",toarray"`
	Size       uint64
	Proof      []spec.Hash // that the log asked for begins with that of Size leaves
	Frontier   []spec.Hash // complete subtrees of the log at Size, largest first
	Leaf       []byte      // the StateRoot at Size − 1
	LeafProof  []spec.Hash // that it stands there in the log of Size leaves
	ChunkRoots []spec.Hash // of the chunks, under live_root
	RuleRoots  []spec.Hash // of the chunks of rules, under rules_root
	Bytes      uint64      // of all chunks: informs
}

// DecodeManifest reads an answer of at most MaxManifest bytes. Nothing of it is
// verified.
func DecodeManifest(data []byte) (*Manifest, error) {
	if len(data) > MaxManifest {
		return nil, spec.Errorf(spec.CodeTooLarge, "a manifest has at most %d bytes", MaxManifest)
	}
	var m Manifest
	if err := spec.Decode(data, &m); err != nil {
		return nil, err
	}
	return &m, nil
}

// Root is the root of the log at the manifest's size.
func (m *Manifest) Root() spec.Hash { return (&tlog.Edge{Size: m.Size, Hashes: m.Frontier}).Root() }

// Verify checks all of the manifest against a checkpoint that is known to be final.
func (m *Manifest) Verify(final tlog.Checkpoint) (*spec.StateRoot, error) {
	if m.Size == 0 || m.Size > final.Size || len(m.Frontier) != bits.OnesCount64(m.Size) {
		return nil, spec.Errorf(spec.CodeMalformed, "a manifest of %d leaves cannot be of a log of %d", m.Size, final.Size)
	}
	if len(m.ChunkRoots) != Chunks || len(m.RuleRoots) != RuleChunks {
		return nil, spec.Errorf(spec.CodeMalformed, "a manifest has %d roots of chunks and %d of rules", Chunks, RuleChunks)
	}
	root := m.Root()
	if err := tlog.CheckConsistency(m.Proof, m.Size, root, final.Size, final.Root); err != nil {
		return nil, err
	}
	if err := tlog.CheckInclusion(m.LeafProof, m.Size, m.Size-1, root, spec.LeafHash(m.Leaf)); err != nil {
		return nil, err
	}
	leaf, err := spec.ParseLeaf(m.Leaf)
	if err != nil {
		return nil, err
	}
	if leaf.StateRoot == nil {
		return nil, spec.Errorf(spec.CodeProof, "a snapshot does not end with the root of the state")
	}
	if Above(m.ChunkRoots) != leaf.StateRoot.LiveRoot || Above(m.RuleRoots) != leaf.StateRoot.RulesRoot {
		return nil, spec.Errorf(spec.CodeProof, "the roots of the chunks are not under the roots of the state")
	}
	return leaf.StateRoot, nil
}

// Above is the root of the perfect tree over hashes, whose number is a power of two.
func Above(hashes []spec.Hash) spec.Hash {
	level := append([]spec.Hash(nil), hashes...)
	for len(level) > 1 {
		for i := range len(level) / 2 {
			level[i] = spec.NodeHash(level[2*i], level[2*i+1])
		}
		level = level[:len(level)/2]
	}
	return level[0]
}
