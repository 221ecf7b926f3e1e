// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	sumdb "golang.org/x/mod/sumdb/tlog"

	"github.com/tocsin-db/tocsin/spec"
)

// MaxProof bounds the hashes of one proof.
const MaxProof = 64

// Hashes is where the complete hashes of a tree are read: those that Edge.Append
// handed over.
type Hashes interface {
	LogHash(level int, index uint64) (spec.Hash, error)
}

// Root is the RFC 6962 root of the first size leaves.
func Root(h Hashes, size uint64) (spec.Hash, error) {
	e := Edge{Size: size}
	for _, p := range EdgePlaces(size) {
		hash, err := h.LogHash(p.Level, p.Index)
		if err != nil {
			return hash, err
		}
		e.Hashes = append(e.Hashes, hash)
	}
	return e.Root(), nil
}

// Inclusion proves that the leaf at index stands in the tree of size leaves.
func Inclusion(h Hashes, size, index uint64) ([]spec.Hash, error) {
	if size > MaxSize || index >= size {
		return nil, spec.Errorf(spec.CodeNotFound, "a log of %d leaves has none at %d", size, index)
	}
	p, err := sumdb.ProveRecord(int64(size), int64(index), reader(h))
	return ours(p), err
}

// CheckInclusion verifies what Inclusion made, failing with BAD_PROOF.
func CheckInclusion(proof []spec.Hash, size, index uint64, root, leaf spec.Hash) error {
	if size > MaxSize || index >= size || len(proof) > MaxProof {
		return errProof
	}
	if sumdb.CheckRecord(theirs(proof), int64(size), sumdb.Hash(root), int64(index), sumdb.Hash(leaf)) != nil {
		return errProof
	}
	return nil
}

// Consistency proves that the tree of size leaves begins with that of old leaves.
func Consistency(h Hashes, old, size uint64) ([]spec.Hash, error) {
	if size > MaxSize || old > size {
		return nil, spec.Errorf(spec.CodeNotFound, "a log of %d leaves does not begin with one of %d", size, old)
	}
	if old == 0 {
		return nil, nil
	}
	p, err := sumdb.ProveTree(int64(size), int64(old), reader(h))
	return ours(p), err
}

// CheckConsistency verifies what Consistency made, failing with BAD_PROOF.
func CheckConsistency(proof []spec.Hash, old uint64, oldRoot spec.Hash, size uint64, root spec.Hash) error {
	switch {
	case size > MaxSize || old > size || len(proof) > MaxProof:
		return errProof
	case old == 0 && (len(proof) != 0 || oldRoot != spec.EmptyRoot || size == 0 && root != oldRoot):
		return errProof
	case old == 0:
		return nil
	}
	if sumdb.CheckTree(theirs(proof), int64(size), sumdb.Hash(root), int64(old), sumdb.Hash(oldRoot)) != nil {
		return errProof
	}
	return nil
}

var errProof = spec.Errorf(spec.CodeProof, "the proof does not hold")

func reader(h Hashes) sumdb.HashReader {
	return sumdb.HashReaderFunc(func(indexes []int64) ([]sumdb.Hash, error) {
		out := make([]sumdb.Hash, len(indexes))
		for i, x := range indexes {
			level, n := sumdb.SplitStoredHashIndex(x)
			hash, err := h.LogHash(level, uint64(n))
			if err != nil {
				return nil, err
			}
			out[i] = sumdb.Hash(hash)
		}
		return out, nil
	})
}

func ours[T ~[]sumdb.Hash](p T) []spec.Hash {
	out := make([]spec.Hash, len(p))
	for i := range p {
		out[i] = spec.Hash(p[i])
	}
	return out
}

func theirs(p []spec.Hash) []sumdb.Hash {
	out := make([]sumdb.Hash, len(p))
	for i := range p {
		out[i] = sumdb.Hash(p[i])
	}
	return out
}

// Memory keeps the hashes of a tree in memory. The zero Memory is empty.
type Memory struct {
	Edge
	levels [][]spec.Hash
}

// Add appends a leaf by its hash.
func (m *Memory) Add(leaf spec.Hash) {
	m.Append(leaf, func(level int, _ uint64, h spec.Hash) {
		if level == len(m.levels) {
			m.levels = append(m.levels, nil)
		}
		m.levels[level] = append(m.levels[level], h)
	})
}

// LogHash implements Hashes.
func (m *Memory) LogHash(level int, index uint64) (spec.Hash, error) {
	if level >= len(m.levels) || index >= uint64(len(m.levels[level])) {
		return spec.Hash{}, spec.Errorf(spec.CodeNotFound, "the tree has no such hash")
	}
	return m.levels[level][index], nil
}
