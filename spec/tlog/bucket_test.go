// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// Every leaf of buckets of every size is proved, by one proof alone: no bit of it
// can be changed.
func TestBucketProofs(t *testing.T) {
	place := spec.Hash{0xab, 0xcd, 0xef}
	var siblings []spec.Hash
	for i := range 18 {
		siblings = append(siblings, spec.Hash{byte(i)})
	}
	for size := uint64(1); size < 40; size++ {
		bucket, roots := treeOf(size)
		root := roots[size]
		for i, s := range siblings {
			root = join(root, s, 0xabcdef>>6>>i&1 == 1)
		}
		for index := range size {
			p, err := NewBucketProof(bucket, index, siblings)
			if err != nil {
				t.Fatal(err)
			}
			leaf := spec.LeafHash(leafOf(index))
			if err := p.Check(18, place, leaf, root); err != nil {
				t.Fatalf("leaf %d of %d: %v", index, size, err)
			}
			if p.Check(18, place, spec.LeafHash(leafOf(index+1)), root) == nil || p.Check(18, spec.Hash{0xab, 0xcd, 0x2f}, leaf, root) == nil {
				t.Fatalf("another leaf or place is proved with the proof of %d of %d", index, size)
			}
			for bit := range 64 {
				p.Turns ^= 1 << bit
				if p.Check(18, place, leaf, root) == nil {
					t.Fatalf("leaf %d of %d: turn %d does not matter", index, size, bit)
				}
				p.Turns ^= 1 << bit
			}
		}
	}
}
