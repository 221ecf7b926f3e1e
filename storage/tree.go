// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"cmp"
	"slices"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/lanes"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// Sizes of the two trees that commit to the state: a bucket is chosen by the top
// bits of a leaf's place.
const (
	liveBits = tlog.LiveBits
	ruleBits = tlog.RulesBits
)

// A bucketTree is a perfect binary tree over the roots of buckets, in memory:
// node i has the children 2i and 2i+1, and bucket b is node 1<<bits + b. One
// change costs `bits` hashes.
type bucketTree struct {
	bits  int
	nodes []spec.Hash
	undo  []nodeChange // since the last mark
	queue lanes.Queue  // of the writer
}

type nodeChange struct {
	node uint32
	old  spec.Hash
}

func newBucketTree(bits int) *bucketTree {
	t := &bucketTree{bits: bits, nodes: make([]spec.Hash, 2<<bits)}
	h := spec.EmptyRoot
	for level := bits; level >= 0; level-- {
		for i := 1 << level; i < 2<<level; i++ {
			t.nodes[i] = h
		}
		h = spec.NodeHash(h, h)
	}
	return t
}

// bucketOf returns the bucket of a place.
func (t *bucketTree) bucketOf(place spec.Hash) uint32 {
	top := uint32(place[0])<<24 | uint32(place[1])<<16 | uint32(place[2])<<8 | uint32(place[3])
	return top >> (32 - t.bits)
}

// begin returns the first four bytes of the first place of a bucket.
func (t *bucketTree) begin(bucket uint32) uint32 { return bucket << (32 - t.bits) }

func (t *bucketTree) root() spec.Hash { return t.nodes[1] }

// empty reports whether a bucket has no leaves.
func (t *bucketTree) empty(bucket uint32) bool { return t.nodes[1<<t.bits+bucket] == spec.EmptyRoot }

// set changes the roots of buckets, in ascending order, and the hashes above them,
// each once.
func (t *bucketTree) set(buckets []uint32, roots []spec.Hash) {
	dirty := make([]uint32, len(buckets))
	for i, b := range buckets {
		dirty[i] = 1<<t.bits + b
		t.put(dirty[i], roots[i])
	}
	t.raise(dirty)
}

func (t *bucketTree) put(node uint32, h spec.Hash) {
	t.undo = append(t.undo, nodeChange{node, t.nodes[node]})
	t.nodes[node] = h
}

// together is how many hashes of a level are worth being computed side by side.
const together = 4

// raise computes the hashes above nodes of the lowest level, which ascend.
func (t *bucketTree) raise(dirty []uint32) {
	for level := t.bits; level > 0 && len(dirty) > 0; level-- {
		many := len(dirty) >= together
		up := dirty[:0]
		for _, i := range dirty { // ascending, so that siblings are neighbours
			p := i >> 1
			if len(up) > 0 && up[len(up)-1] == p {
				continue
			}
			up = append(up, p)
			if many {
				t.undo = append(t.undo, nodeChange{p, t.nodes[p]})
				addNode(&t.queue, &t.nodes[p], &t.nodes[2*p], &t.nodes[2*p+1])
			} else {
				t.put(p, spec.NodeHash(t.nodes[2*p], t.nodes[2*p+1]))
			}
		}
		t.queue.Flush()
		dirty = up
	}
}

// commit makes the changes since the last commit permanent.
func (t *bucketTree) commit() { t.undo = t.undo[:0] }

// rollback takes them back.
func (t *bucketTree) rollback() {
	for i := len(t.undo) - 1; i >= 0; i-- {
		t.nodes[t.undo[i].node] = t.undo[i].old
	}
	t.undo = t.undo[:0]
}

// A bucketRoot is the root of one bucket.
type bucketRoot struct {
	bucket uint32
	root   spec.Hash
}

// load sets many buckets at once, each given once, and then the hashes above them.
func (t *bucketTree) load(roots []bucketRoot) {
	slices.SortFunc(roots, func(a, b bucketRoot) int { return cmp.Compare(a.bucket, b.bucket) })
	dirty := make([]uint32, len(roots))
	for i, r := range roots {
		dirty[i] = 1<<t.bits + r.bucket
		t.nodes[dirty[i]] = r.root
	}
	var q lanes.Queue
	for level := t.bits; level > 0 && len(dirty) > 0; level-- {
		up := dirty[:0]
		for _, i := range dirty { // ascending, so that siblings are neighbours
			if p := i >> 1; len(up) == 0 || up[len(up)-1] != p {
				addNode(&q, &t.nodes[p], &t.nodes[2*p], &t.nodes[2*p+1])
				up = append(up, p)
			}
		}
		q.Flush()
		dirty = up
	}
}

// addNode has spec.NodeHash of two hashes written to into.
func addNode(q *lanes.Queue, into, left, right *spec.Hash) {
	q.AddNode((*[32]byte)(into), nodePrefix, (*[32]byte)(left), (*[32]byte)(right))
}

// Prefixes of RFC 6962 §2.1.
var leafPrefix = []byte{0}

const nodePrefix = 1
