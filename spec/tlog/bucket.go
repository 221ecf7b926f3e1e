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
// its bucket, and the bucket's in the perfect tree above. Both go from the lowest
// hash up; that of the bucket turns as the leaf's place says.
type BucketProof struct {
	_        struct{} `cbor:",toarray"`
	Turns    uint64   // bit i is set where hash i of Path stands on the left
	Path     []spec.Hash
	Siblings []spec.Hash
}

// NewBucketProof proves the leaf at index of a bucket.
func NewBucketProof(bucket *Memory, index uint64, siblings []spec.Hash) (*BucketProof, error) {
	path, err := Inclusion(bucket, bucket.Size, index)
	p := &BucketProof{Path: path, Siblings: siblings}
	for i, last := 0, bucket.Size-1; last > 0; index, last = index>>1, last>>1 {
		if index&1 == 1 {
			p.Turns |= 1 << i
		} else if index == last {
			continue // the odd last one is carried up alone
		}
		i++
	}
	return p, err
}

// Check verifies that a leaf with this place stands in the tree of 2^bits buckets
// with this root, failing with BAD_PROOF.
func (p *BucketProof) Check(bits int, place, leaf, root spec.Hash) error {
	if len(p.Path) >= MaxProof || p.Turns>>len(p.Path) != 0 {
		return errProof
	}
	h := leaf
	for i, s := range p.Path {
		h = join(h, s, p.Turns>>i&1 == 1)
	}
	return CheckBucket(p.Siblings, bits, place, h, root)
}

func join(h, sibling spec.Hash, left bool) spec.Hash {
	if left {
		return spec.NodeHash(sibling, h)
	}
	return spec.NodeHash(h, sibling)
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
		h = join(h, s, b&1 == 1)
		b >>= 1
	}
	if h != root {
		return errProof
	}
	return nil
}
