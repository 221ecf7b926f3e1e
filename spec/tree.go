// SPDX-License-Identifier: Apache-2.0

package spec

import "crypto/sha256"

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
