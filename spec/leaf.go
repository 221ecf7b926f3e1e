// SPDX-License-Identifier: Apache-2.0

package spec

// Tags of derived leaves: what every node computes for itself and none signs.
const (
	TagTick      uint64 = 1
	TagAdmission uint64 = 2
	TagDecision  uint64 = 3
	TagNotice    uint64 = 4
	TagStateRoot uint64 = 5
)

// A Tick moves log time. Until checkpoints are cosigned it carries the leader's
// stamp.
type Tick struct {
	_      struct{} `cbor:",toarray"`
	Tag    uint64
	TimeMS uint64 // log time from here on
}

// Outcomes of a case.
const (
	OutcomeAccepted uint64 = 1
	OutcomeRejected uint64 = 2
	OutcomeLapsed   uint64 = 3
)

// OutcomeName returns the word for an outcome.
func OutcomeName(o uint64) string {
	return [...]string{"open", "accepted", "rejected", "lapsed"}[min(o, 3)]
}

// A Decision is the outcome that the rules derive for a case.
type Decision struct {
	_        struct{} `cbor:",toarray"`
	Tag      uint64
	Case     Hash
	Outcome  uint64
	Yes      uint64
	No       uint64
	Abstain  uint64
	Excluded []byte // bitmap of the items that were left out, lowest bit first; empty when none
	Policy   Hash   // digest of the policy in force when the case opened
}

// A StateRoot commits to the state after a raft entry and is its last leaf.
type StateRoot struct {
	_          struct{} `cbor:",toarray"`
	Tag        uint64
	SizeBefore uint64 // of the log, before this leaf
	LiveRoot   Hash
	LiveCount  uint64
	RulesRoot  Hash
	Epoch      uint64
	TimeMS     uint64 // log time
}

// A Leaf is one decoded leaf of the log: exactly one field is set.
type Leaf struct {
	Signed    *Signed
	Tick      *Tick
	Decision  *Decision
	StateRoot *StateRoot
}

// ParseLeaf decodes a leaf. Envelopes begin with a byte string, derived leaves
// with the number of their tag.
func ParseLeaf(data []byte) (Leaf, error) {
	if len(data) > MaxLeaf {
		return Leaf{}, Errorf(CodeTooLarge, "a leaf is at most %d bytes", MaxLeaf)
	}
	if len(data) < 2 || data[0]>>5 != 4 {
		return Leaf{}, Errorf(CodeMalformed, "not a leaf of the log")
	}
	if data[1]>>5 == 2 {
		s, err := ParseEnvelope(data)
		return Leaf{Signed: s}, err
	}
	var l Leaf
	var err error
	switch uint64(data[1]) {
	case TagTick:
		l.Tick = new(Tick)
		err = Decode(data, l.Tick)
	case TagDecision:
		l.Decision = new(Decision)
		err = Decode(data, l.Decision)
	case TagStateRoot:
		l.StateRoot = new(StateRoot)
		err = Decode(data, l.StateRoot)
	default:
		return Leaf{}, Errorf(CodeKind, "a derived leaf of this tag is not known here")
	}
	return l, err
}

// IsEnvelope reports whether a leaf is an operation rather than derived, by its
// first bytes alone.
func IsEnvelope(leaf []byte) bool {
	return len(leaf) > 1 && leaf[0]>>5 == 4 && leaf[1]>>5 == 2
}

// EndsGroup reports whether a leaf is the root of the state, which ends what one
// raft entry put on the log, by its first bytes alone.
func EndsGroup(leaf []byte) bool {
	return len(leaf) > 1 && leaf[0] == 0x87 && leaf[1] == byte(TagStateRoot)
}
