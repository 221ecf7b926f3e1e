// SPDX-License-Identifier: Apache-2.0

package spec

// Tags of derived leaves: what every node computes for itself and none signs.
const (
	TagTick      uint64 = 1
	TagAdmission uint64 = 2
	TagDecision  uint64 = 3
	TagNotice    uint64 = 4
	TagStateRoot uint64 = 5
	TagPanel     uint64 = 6
)

// A Tick moves log time to the time of a checkpoint of this log. It carries the
// cosignatures, so that no single clock moves it and anyone can check it.
type Tick struct {
	_          struct{} `cbor:",toarray"`
	Tag        uint64
	TimeMS     uint64 // log time from here on
	Checkpoint Timed
}

// Outcomes of a case.
const (
	OutcomeAccepted  uint64 = 1
	OutcomeRejected  uint64 = 2
	OutcomeLapsed    uint64 = 3
	OutcomeWithdrawn uint64 = 4
	OutcomeMoot      uint64 = 5 // what it asked for can no longer be done
)

// OutcomeName returns the word for an outcome.
func OutcomeName(o uint64) string {
	return [...]string{"open", "accepted", "rejected", "lapsed", "withdrawn", "moot"}[min(o, 5)]
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

// Findings of the admission checks. Numbers are never reused.
const (
	FindingListed     uint64 = 1 // a live entry lists the signal already
	FindingQuality    uint64 = 2 // of low quality, though above what is refused
	FindingPopcount   uint64 = 3 // the number of bits set is far from what real pictures have
	FindingDegenerate uint64 = 4 // the hash of nothing, or of a flat or striped picture
	FindingAllowed    uint64 = 5 // on the consortium's allow-list, or within the type's distance of it
)

// Holds reports whether a finding keeps its item out unless votes override it.
func Holds(finding uint64) bool { return finding >= FindingPopcount && finding <= FindingAllowed }

// FindingName returns the words for a finding.
func FindingName(f uint64) string {
	return [...]string{"nothing", "already listed", "low quality", "unusual number of bits", "degenerate", "near the allow-list", "unknown"}[min(f, 6)]
}

// A Finding says how many signals of an item the admission checks remark on.
type Finding struct {
	_     struct{} `cbor:",toarray"`
	Item  uint64
	What  uint64
	Count uint64
}

// An Admission tells what those who hold a proposal's values found in them. It is
// there only when there is something to tell.
type Admission struct {
	_        struct{} `cbor:",toarray"`
	Tag      uint64
	Case     Hash
	Findings []Finding // by item and finding, ascending
}

// What a Notice is about. Numbers are never reused.
const (
	NoticeReferral  uint64 = 1 // a referral was not decided in time
	NoticeDispute   uint64 = 2 // a dispute was not ruled on in time
	NoticeMatchable uint64 = 3 // decisions were not confirmed as applied in time
	NoticeRevoked   uint64 = 4 // a revoked key took part in the case after it was lost
)

// NoticeName returns the words for what a notice is about.
func NoticeName(n uint64) string {
	return [...]string{"", "overdue referral", "overdue dispute", "late propagation", "doubted key", "unknown"}[min(n, 5)]
}

// A Notice says on the public record that something is overdue or in doubt. At
// the second level it counts against the organisations that it names.
type Notice struct {
	_      struct{} `cbor:",toarray"`
	Tag    uint64
	What   uint64
	Level  uint64 // 1: notice, 2: mark
	Case   Hash   // or zero
	Index  uint64 // of the decision that was not confirmed, or 0
	Orgs   []string
	TimeMS uint64 // log time
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
	Admission *Admission
	Decision  *Decision
	Notice    *Notice
	StateRoot *StateRoot
	Panel     *Panel
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
	case TagPanel:
		l.Panel = new(Panel)
		if err = Decode(data, l.Panel); err == nil {
			err = l.Panel.Check()
		}
	case TagAdmission:
		l.Admission = new(Admission)
		err = Decode(data, l.Admission)
	case TagNotice:
		l.Notice = new(Notice)
		err = Decode(data, l.Notice)
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
