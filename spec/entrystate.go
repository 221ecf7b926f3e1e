// SPDX-License-Identifier: Apache-2.0

package spec

import "slices"

// States of an entry.
const (
	StateProvisional uint64 = 1
	StateActive      uint64 = 2
	StateDisputed    uint64 = 3
	StateSuspended   uint64 = 4
	StateRetracted   uint64 = 5
)

// StateName returns the word for a state of an entry.
func StateName(s uint64) string {
	return [...]string{"", "provisional", "active", "disputed", "suspended", "retracted"}[min(s, 5)]
}

// Matchable reports whether lookups find entries in this state.
func Matchable(state uint64) bool {
	return state == StateProvisional || state == StateActive || state == StateDisputed
}

// An Entry is one listed item of content. Its values are in the opening of its
// case: signals First to First+Count−1.
type Entry struct {
	_      struct{} `cbor:",toarray"`
	Case   Hash
	Item   uint64
	Org    string // who proposed it
	State  uint64
	Since  uint64 // log index of the change to this state
	Sunset uint64 // log time at which a provisional entry ends, 0: none
	Labels []string
	Counts []Count
	First  uint64
	Count  uint64
	// Dispute is the open case against the entry, or zero.
	Dispute   Hash
	Confirmed bool     // its addition was accepted
	Backed    bool     // while it is not: enough organisations approve its urgent addition
	Frozen    bool     // a dispute suspends the whole entry
	Removed   []uint64 // signals that a dispute retracted, by their number in the entry
	Paused    []uint64 // signals that an open dispute suspends
}

// Off returns the numbers of the signals that are not live whatever the state.
func (e *Entry) Off() []uint64 {
	if len(e.Paused) == 0 {
		return e.Removed
	}
	off := append(append([]uint64(nil), e.Removed...), e.Paused...)
	slices.Sort(off)
	return slices.Compact(off)
}

// LiveMeta is what a live signal says of its entry: CBOR[entry id, state, since,
// sunset, labels].
type LiveMeta struct {
	_      struct{} `cbor:",toarray"`
	Entry  Hash
	State  uint64
	Since  uint64
	Sunset uint64
	Labels []string
}

// LiveLeaf is the leaf of the tree of live entries for one signal of one entry:
// SHA-256(0x00 ‖ k ‖ c ‖ meta).
func LiveLeaf(k, c Hash, meta []byte) Hash {
	b := make([]byte, 0, 2*len(k)+len(meta))
	return LeafHash(append(append(append(b, k[:]...), c[:]...), meta...))
}

// A Listing changes whether the signals of one entry are live, and what they say.
type Listing struct {
	Case  Hash // whose opening holds the values
	First int
	Count int
	Meta  LiveMeta
	Off   []uint64 // signals, counted from First, that are not live whatever Live says; ascending
	Was   bool     // matchable before
	Live  bool     // matchable from now on
}

// Roots commit to the state.
type Roots struct {
	Live      Hash
	LiveCount uint64
	Rules     Hash
	LiveKnown bool // false while a live signal's value was erased before this replica got it
}

// An Erasure forgets the values of signals First to First+Count−1 of a case's
// opening. Their commitments stay.
type Erasure struct {
	Case         Hash
	First, Count int
}
