// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"github.com/tocsin-db/tocsin/spec"
)

// Bits of a place that choose its bucket in the trees that commit to the state.
const (
	LiveBits  = 18
	RulesBits = 16
)

// A BucketProof ties a leaf to one of the roots of the state: the leaf's path in
// its bucket, and the bucket's in the perfect tree above.
type BucketProof struct {
	_        struct{} `cbor:",toarray"`
	Index    uint64   // of the leaf in its bucket
	Count    uint64   // of leaves in the bucket
	Path     []spec.Hash
	Siblings []spec.Hash // of the bucket, from the lowest up
}

// Check verifies that a leaf with this place stands in the tree of 2^bits buckets
// with this root, failing with BAD_PROOF.
func (p *BucketProof) Check(bits int, place, leaf, root spec.Hash) error {
	if p.Count == 0 || p.Index >= p.Count || p.Count > MaxSize || len(p.Path) > MaxProof {
		return errProof
	}
	bucket, rest := rootFrom(p.Path, p.Index, p.Count, leaf)
	if rest != 0 {
		return errProof
	}
	return CheckBucket(p.Siblings, bits, place, bucket, root)
}

// CheckBucket verifies that the bucket of a place has this root in the tree of
// 2^bits buckets.
func CheckBucket(siblings []spec.Hash, bits int, place, bucket, root spec.Hash) error {
	if len(siblings) != bits {
		return errProof
	}
	top := uint32(place[0])<<24 | uint32(place[1])<<16 | uint32(place[2])<<8 | uint32(place[3])
	b, h := top>>(32-bits), bucket
	for _, s := range siblings {
		if b&1 == 0 {
			h = spec.NodeHash(h, s)
		} else {
			h = spec.NodeHash(s, h)
		}
		b >>= 1
	}
	if h != root {
		return errProof
	}
	return nil
}

// rootFrom is the root that an inclusion proof leads to (RFC 9162 §2.1.3.2), and
// how far the proof is from the right length.
func rootFrom(path []spec.Hash, index, size uint64, leaf spec.Hash) (spec.Hash, int) {
	h, last := leaf, size-1
	for i, p := range path {
		if last == 0 {
			return h, len(path) - i
		}
		if index&1 == 1 || index == last {
			h = spec.NodeHash(p, h)
			for index&1 == 0 && index != 0 {
				index, last = index>>1, last>>1
			}
		} else {
			h = spec.NodeHash(h, p)
		}
		index, last = index>>1, last>>1
	}
	return h, int(min(last, 1))
}
