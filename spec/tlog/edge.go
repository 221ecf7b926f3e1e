// SPDX-License-Identifier: Apache-2.0

// Package tlog is the Merkle tree over the leaves of the log (RFC 6962): how it
// grows, its root, and the places of its hashes. spec/log.md is the normative
// text.
package tlog

import (
	"math/bits"

	"github.com/tocsin-db/tocsin/spec"
)

// An Edge is the right edge of a tree: the roots of the complete subtrees that
// its size decomposes into, largest first. It is all that appending needs. The
// zero Edge is the empty tree.
type Edge struct {
	Size   uint64
	Hashes []spec.Hash
}

// Append adds a leaf. store is called with every hash that became complete, at
// its level (0 for leaves) and index in the level; nothing stored ever changes.
func (e *Edge) Append(leaf spec.Hash, store func(level int, index uint64, h spec.Hash)) {
	h, n := leaf, e.Size
	store(0, n, h)
	for level := 1; n&1 == 1; level++ {
		last := len(e.Hashes) - 1
		h = spec.NodeHash(e.Hashes[last], h)
		e.Hashes = e.Hashes[:last]
		n >>= 1
		store(level, n, h)
	}
	e.Hashes = append(e.Hashes, h)
	e.Size++
}

// Root is the RFC 6962 root of the tree.
func (e *Edge) Root() spec.Hash {
	if len(e.Hashes) == 0 {
		return spec.EmptyRoot
	}
	h := e.Hashes[len(e.Hashes)-1]
	for i := len(e.Hashes) - 2; i >= 0; i-- {
		h = spec.NodeHash(e.Hashes[i], h)
	}
	return h
}

// Clone returns an independent copy.
func (e *Edge) Clone() Edge {
	return Edge{Size: e.Size, Hashes: append([]spec.Hash(nil), e.Hashes...)}
}

// A Place is one hash of the tree.
type Place struct {
	Level int
	Index uint64
}

// EdgePlaces names the hashes that make up the edge of a tree of this size.
func EdgePlaces(size uint64) []Place {
	var out []Place
	start := uint64(0)
	for level := bits.Len64(size) - 1; level >= 0; level-- {
		if size&(1<<level) != 0 {
			out = append(out, Place{level, start >> level})
			start += 1 << level
		}
	}
	return out
}
