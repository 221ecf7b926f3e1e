// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"github.com/tocsin-db/tocsin/spec"
)

// Bounds on what one group carries, wider than the rules' own so that those
// alone decide what is valid.
const (
	MaxLeaf      = 64 << 10  // bytes
	MaxOpening   = 256 << 10 // bytes: an opening lies within one raft entry
	MaxGroup     = 256 << 20 // bytes of leaves and openings, itemCost included
	itemCost     = 64        // bytes that an item costs beside its content
	maxPartItems = 8192
	partTarget   = 256 << 10 // bytes from which on a part is closed
)

// A Group is what one raft entry put on the log: the unit that is verified and
// committed whole. Its last leaf is always the state root.
type Group struct {
	First    uint64   // log index of the first leaf
	Leaves   [][]byte // at least one, none empty
	Openings []Opening
}

// Next is the log size once the group is appended.
func (g *Group) Next() uint64 { return g.First + uint64(len(g.Leaves)) }

// An Opening is what stands behind the blinded leaves of one case, for the
// roles that may see it.
type Opening struct {
	_     struct{} `cbor:",toarray"`
	Case  [32]byte
	Bytes []byte
}

func costOf(item []byte) int { return len(item) + itemCost }

func (g *Group) cost() int {
	var n int
	for _, l := range g.Leaves {
		n += costOf(l)
	}
	for _, o := range g.Openings {
		n += costOf(o.Bytes)
	}
	return n
}

// check is the outer form of a group, the same on both sides.
func (g *Group) check() error {
	if len(g.Leaves) == 0 {
		return spec.Errorf(spec.CodeMalformed, "a group has at least one leaf")
	}
	if g.cost() > MaxGroup {
		return spec.Errorf(spec.CodeTooLarge, "a group is at most %d bytes", MaxGroup)
	}
	return checkItems(g.Leaves, g.Openings)
}

func checkItems(leaves [][]byte, openings []Opening) error {
	for _, l := range leaves {
		if len(l) == 0 {
			return spec.Errorf(spec.CodeMalformed, "a leaf is empty")
		}
		if len(l) > MaxLeaf {
			return spec.Errorf(spec.CodeTooLarge, "a leaf is at most %d bytes", MaxLeaf)
		}
	}
	for _, o := range openings {
		if len(o.Bytes) > MaxOpening {
			return spec.Errorf(spec.CodeTooLarge, "an opening is at most %d bytes", MaxOpening)
		}
	}
	return nil
}
