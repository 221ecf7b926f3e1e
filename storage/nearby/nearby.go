// SPDX-License-Identifier: Apache-2.0

// Package nearby finds every 256-bit perceptual hash (PDQ, or the PDQ of a
// vPDQ frame) within a Hamming radius of a query, with 100 % recall, while
// hashes are added and removed one at a time.
package nearby

import (
	"bytes"
	"cmp"
)

// Match is one listed hash within the radius of a query.
type Match struct {
	Hash     [32]byte // the listed hash, not the query
	Ref      uint64   // what the hash was added with
	Distance int      // bits in which Hash and the query differ
}

// Compare orders matches by distance, then hash, then ref: the order in which
// every search answers.
func (m Match) Compare(o Match) int {
	if c := cmp.Compare(m.Distance, o.Distance); c != 0 {
		return c
	}
	if c := bytes.Compare(m.Hash[:], o.Hash[:]); c != 0 {
		return c
	}
	return cmp.Compare(m.Ref, o.Ref)
}
