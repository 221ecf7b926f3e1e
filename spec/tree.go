// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"crypto/sha256"
	"sync"

	"github.com/tocsin-db/tocsin/spec/lanes"
)

// NodeHash is the RFC 6962 hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
func NodeHash(left, right Hash) Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// EmptyRoot is the RFC 6962 root of no leaves.
var EmptyRoot = Hash(sha256.Sum256(nil))

// TreeRoot is the RFC 6962 root over leaf hashes. It overwrites leaves.
//
// Pairing neighbours level by level and carrying an odd last one up gives the
// same tree as the recursive split at the largest power of two.
func TreeRoot(leaves []Hash) Hash {
	if len(leaves) == 0 {
		return EmptyRoot
	}
	if len(leaves) >= manyLeaves {
		q := queues.Get().(*lanes.Queue)
		defer queues.Put(q)
		return treeRoot(q, leaves)
	}
	for n := len(leaves); n > 1; n = (n + 1) / 2 {
		for i := 0; i+1 < n; i += 2 {
			leaves[i/2] = NodeHash(leaves[i], leaves[i+1])
		}
		if n%2 == 1 {
			leaves[n/2] = leaves[n-1]
		}
	}
	return leaves[0]
}

// manyLeaves is from how many on the nodes of a level are hashed together.
const manyLeaves = 16

// queues lends out what hashes many messages together.
var queues = sync.Pool{New: func() any { return new(lanes.Queue) }}

// treeRoot is TreeRoot of at least one leaf. The queue copies what it is given, so
// a level can be written over the one that it is made of.
func treeRoot(q *lanes.Queue, leaves []Hash) Hash {
	for n := len(leaves); n > 1; n = (n + 1) / 2 {
		for i := 0; i+1 < n; i += 2 {
			q.AddNode((*[32]byte)(&leaves[i/2]), 1, (*[32]byte)(&leaves[i]), (*[32]byte)(&leaves[i+1]))
		}
		q.Flush()
		if n%2 == 1 {
			leaves[n/2] = leaves[n-1]
		}
	}
	return leaves[0]
}

// CommitmentRoot is the RFC 6962 root over the commitments of signals.
func CommitmentRoot(signals []Opened) Hash {
	if len(signals) == 0 {
		return EmptyRoot
	}
	q := queues.Get().(*lanes.Queue)
	defer queues.Put(q)
	leaves := commitments(q, signals)
	for i := range leaves {
		q.Add((*[32]byte)(&leaves[i]), leafPrefix, leaves[i][:])
	}
	q.Flush()
	return treeRoot(q, leaves)
}

var leafPrefix = []byte{0}

// commitments is Opened.Commitment of each.
func commitments(q *lanes.Queue, signals []Opened) []Hash {
	out := make([]Hash, len(signals)) // first the keys
	var b []byte
	for i := range signals {
		if o := &signals[i]; o.Hidden() {
			out[i] = o.SignalKey()
		} else {
			b = o.Signal.appendKey(b[:0])
			q.Add((*[32]byte)(&out[i]), b)
		}
	}
	q.Flush()
	for i := range signals {
		if o := &signals[i]; o.Erased {
			out[i] = o.Blinded
		} else {
			b = o.appendCommitment(b[:0], &out[i])
			q.Add((*[32]byte)(&out[i]), b)
		}
	}
	q.Flush()
	return out
}
