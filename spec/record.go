// SPDX-License-Identifier: Apache-2.0

package spec

import "encoding/binary"

// The records of the rules' state: everything that a decision depends on, and
// nothing that only some replicas hold. rules.md lists the keys. A record's key
// is one byte for its kind followed by its parts.
const (
	recordGenesis byte = 'g'
	recordPolicy  byte = 'p'
	recordClock   byte = 't'
	recordOrg     byte = 'o'
	recordSeq     byte = 'q'
	recordCase    byte = 'c'
	recordVote    byte = 'v'
	recordDue     byte = 'd'
	recordEntry   byte = 'n'
)

// Keys of the records that exist once.
var (
	GenesisKey = []byte{recordGenesis}
	PolicyKey  = []byte{recordPolicy}
	ClockKey   = []byte{recordClock}
)

// Prefixes under which records of one kind stand, in the order of their keys.
var (
	OrgPrefix   = []byte{recordOrg}
	CasePrefix  = []byte{recordCase}
	DuePrefix   = []byte{recordDue}
	EntryPrefix = []byte{recordEntry}
)

// OrgKey is the key of an organisation's record.
func OrgKey(id string) []byte { return append([]byte{recordOrg}, id...) }

// SeqKey is the key of the replay window of one op key.
func SeqKey(org string, key KeyID) []byte {
	b := append([]byte{recordSeq}, org...)
	return append(append(b, 0), key[:]...)
}

// CaseKey is the key of a case.
func CaseKey(id Hash) []byte { return append([]byte{recordCase}, id[:]...) }

// VotePrefix precedes the votes of a case.
func VotePrefix(id Hash) []byte { return append([]byte{recordVote}, id[:]...) }

// VoteKey is the key of an organisation's vote in a case.
func VoteKey(id Hash, org string) []byte { return append(VotePrefix(id), org...) }

// DueKey orders open cases by the log time at which they lapse.
func DueKey(deadlineMS uint64, id Hash) []byte {
	b := binary.BigEndian.AppendUint64([]byte{recordDue}, deadlineMS)
	return append(b, id[:]...)
}

// ParseDueKey is the reverse of DueKey.
func ParseDueKey(key []byte) (deadlineMS uint64, id Hash, ok bool) {
	if len(key) != 1+8+len(id) || key[0] != recordDue {
		return 0, id, false
	}
	copy(id[:], key[9:])
	return binary.BigEndian.Uint64(key[1:]), id, true
}

// EntryKey is the key of an entry.
func EntryKey(id Hash) []byte { return append([]byte{recordEntry}, id[:]...) }

// A GenesisRecord keeps what every signature is bound to.
type GenesisRecord struct {
	_      struct{} `cbor:",toarray"`
	Origin string
	Hash   Hash
}

// A Clock is the consortium's own time and membership epoch.
type Clock struct {
	_      struct{} `cbor:",toarray"`
	Epoch  uint64
	TimeMS uint64 // log time; never goes back
}

// An OrgRecord is an enrolled organisation.
type OrgRecord struct {
	_            struct{} `cbor:",toarray"`
	Organisation Organisation
	Since        uint64 // log index of the decision, 0 for founders
}

// Window is how far behind the highest sequence number an operation may come.
const Window = 1024

// A SeqRecord says which sequence numbers of one op key are taken: bit n%Window
// stands for n, for the Window numbers up to Highest.
type SeqRecord struct {
	_       struct{} `cbor:",toarray"`
	Highest uint64
	Taken   [Window / 8]byte
}

// A Case is a matter under vote, and its outcome once decided.
type Case struct {
	_          struct{} `cbor:",toarray"`
	Kind       uint64   // kind of the operation that opened it
	Org        string   // who opened it
	Index      uint64   // of that operation in the log
	OpenedMS   uint64   // log time
	DeadlineMS uint64   // log time
	Policy     Hash     // digest of the policy at the opening
	Electorate []string // who may vote: sorted ids
	Base       uint64   // how many organisations the threshold counts
	Need       uint64   // approvals needed
	Reason     string   // basis or reason code
	Items      []Item   // of an addition
	Root       Hash     // of an addition
	Entry      Hash     // of a dispute
	Enrol      []Organisation
	Outcome    uint64 // 0 while open
	Decided    uint64 // log index of the decision
	DecidedMS  uint64 // log time
	Yes        uint64 // tally at the decision
	No         uint64
	Abstain    uint64
}

// Open reports whether votes still count.
func (c *Case) Open() bool { return c.Outcome == 0 }

// A VoteRecord is the vote that counts for one organisation.
type VoteRecord struct {
	_      struct{} `cbor:",toarray"`
	Choice uint64
	Except []uint64
	Reason string
	Index  uint64 // of the operation in the log
}

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
	Dispute Hash
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

// RuleLeaf is the leaf of the tree of the rules' records: SHA-256(0x00 ‖
// CBOR[key, value]).
func RuleLeaf(key, value []byte) Hash {
	return LeafHash(mustEncode([]any{key, value}))
}

// RulePlace orders the records in their tree: SHA-256 over the key, so that a
// change touches one bucket.
func RulePlace(key []byte) Hash { return hashOf("tocsin.rule.v1", key) }

// A Listing changes whether the signals of one entry are live, and what they say.
type Listing struct {
	Case  Hash // whose opening holds the values
	First int
	Count int
	Meta  LiveMeta
	Was   bool // matchable before
	Live  bool // matchable from now on
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
