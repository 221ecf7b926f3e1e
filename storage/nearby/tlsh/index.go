// SPDX-License-Identifier: Apache-2.0

// Package tlsh finds every TLSH within a DiffXLen of a query, without
// comparing all of them, while hashes are added and removed.
//
// Most of a TLSH is 128 quartiles, of 2 bits each, and two of them that are
// 1, 2 or 3 apart count 1, 2 or 6. Written in Gray code (00, 01, 11, 10) they
// differ in 1, 2 or 1 bits: never in more than they count. So the Hamming
// distance of two Gray-coded bodies is at most the DiffXLen of the hashes, and
// the index for 256-bit hashes finds every candidate; what it finds is then
// compared in full.
package tlsh

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

	spec "github.com/tocsin-db/tocsin/spec/tlsh"
	"github.com/tocsin-db/tocsin/storage/nearby"
)

// Match is one listed hash within the distance of a query.
type Match struct {
	Hash     spec.Hash // the listed hash, not the query
	Ref      uint64    // what the hash was added with
	Distance int       // DiffXLen of Hash and the query
}

// Compare orders matches by distance, then hash, then ref.
func (m Match) Compare(o Match) int {
	return cmp.Or(cmp.Compare(m.Distance, o.Distance), bytes.Compare(m.Hash[:], o.Hash[:]), cmp.Compare(m.Ref, o.Ref))
}

// MaxRef is the largest ref that a hash can be added with. The 24 bits above
// hold the part of the hash that is not the body.
const MaxRef = 1<<refBits - 1

const (
	refBits  = 40
	headSize = spec.Size - 32
)

// ErrRef says that a ref is above MaxRef.
var ErrRef = errors.New("a ref of the TLSH index has 40 bits at most")

// Index is a set of (hash, ref) pairs. It may be searched from any number of
// goroutines while others add and remove, as a nearby.Index may.
type Index struct{ near *nearby.Index }

// New makes an empty Index. Limits bound what has to be compared in full, too.
func New(opts ...nearby.Option) *Index { return &Index{nearby.New(opts...)} }

// Len returns how many (hash, ref) pairs the index holds.
func (x *Index) Len() int { return x.near.Len() }

// Add makes hash findable with ref, which is at most MaxRef. A pair that is
// there already is left as it is.
func (x *Index) Add(hash *spec.Hash, ref uint64) error {
	if ref > MaxRef {
		return ErrRef
	}
	body, head := split(hash)
	return x.near.Add(&body, head|ref)
}

// Remove takes the pair out and reports whether it was there.
func (x *Index) Remove(hash *spec.Hash, ref uint64) bool {
	body, head := split(hash)
	return ref <= MaxRef && x.near.Remove(&body, head|ref)
}

// Search appends to dst every pair whose DiffXLen from q is at most distance,
// ordered by distance, then hash, then ref. truncated says that a limit of
// the index was met and matches may be missing. Distances above
// nearby.MaxIndexed are exact too, and much slower.
func (x *Index) Search(q *spec.Hash, distance int, dst []Match) (matches []Match, truncated bool) {
	body, _ := split(q)
	from := len(dst)
	near, truncated := x.near.Search(&body, distance, nil)
	for i := range near {
		h := join(&near[i].Hash, near[i].Ref)
		if d := spec.DiffXLen(q, &h); d <= distance {
			dst = append(dst, Match{h, near[i].Ref & MaxRef, d})
		}
	}
	slices.SortFunc(dst[from:], Match.Compare)
	return dst, truncated
}

// split returns the body in Gray code, and the rest in the bits above a ref.
func split(h *spec.Hash) (body [32]byte, head uint64) {
	for i, b := range h[headSize:] {
		body[i] = gray(b)
	}
	for i, b := range h[:headSize] {
		head |= uint64(b) << (refBits + 8*i)
	}
	return body, head
}

func join(body *[32]byte, ref uint64) (h spec.Hash) {
	for i := range headSize {
		h[i] = byte(ref >> (refBits + 8*i))
	}
	for i, b := range body {
		h[headSize+i] = gray(b)
	}
	return h
}

// gray turns four quartiles into Gray code, or back: it is its own inverse.
func gray(b byte) byte { return b ^ b>>1&0x55 }
