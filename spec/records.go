// SPDX-License-Identifier: Apache-2.0

package spec

// A GenesisRecord keeps what every signature is bound to.
type GenesisRecord struct {
	_      struct{} `cbor:",toarray"`
	Origin string
	Hash   Hash
}

// What a panel may follow from (Clock.Turn).
const (
	Turned    uint64 = 1 // sequencers, their keys, or how many have to cosign
	Recovered uint64 = 2 // a recovery
)

// A Clock is the consortium's own time and epoch, and beside them what nearly
// every operation needs to know of members and policy.
type Clock struct {
	_           struct{} `cbor:",toarray"`
	Epoch       uint64
	TimeMS      uint64 // log time; never goes back
	Members     uint64
	Policy      Hash     // digest of the policy in force
	Schemas     []uint64 // of that policy
	MatchableMS uint64   // of that policy
	Panel       uint64   // number of the panel in force
	Ticked      uint64   // size of the checkpoint in the last tick
	Turn        uint64   // whether what the panel follows from changed in this group; 0 between groups
}

// An OrgRecord is an enrolled organisation. Its first op key is the card's, which
// is zero while it has none.
type OrgRecord struct {
	_            struct{} `cbor:",toarray"`
	Organisation Organisation
	Since        uint64      // log index of the decision, 0 for founders
	Tier         string      // TierFull or TierDigest
	More         []PublicKey // further op keys
	Revoked      []PublicKey // op keys that it had
}

// OpKeys returns the op keys in force.
func (r *OrgRecord) OpKeys() []PublicKey {
	var keys []PublicKey
	if r.Organisation.OpKey != (PublicKey{}) {
		keys = append(keys, r.Organisation.OpKey)
	}
	return append(keys, r.More...)
}

// A FormerRecord is an organisation that is enrolled no more. Its id and keys are
// never taken again.
type FormerRecord struct {
	_        struct{} `cbor:",toarray"`
	Enrolled OrgRecord
	Until    uint64 // log index of the decision
	Action   uint64 // ActionExpel or ActionLeave
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

// A Case is a matter under vote, and its outcome once decided. What it is about
// stands under ContentKey, so that a vote need not read it.
type Case struct {
	_          struct{} `cbor:",toarray"`
	Kind       uint64   // kind of the operation that opened it
	Org        string   // who opened it, or empty for the rules
	Key        KeyID    // the op key that did
	Index      uint64   // of that operation in the log
	OpenedMS   uint64   // log time
	DeadlineMS uint64   // log time at which it lapses or is overdue
	DueMS      uint64   // log time at which the rules look at it again
	Policy     Hash     // digest of the policy at the opening
	Rule       Rule     // of that policy
	Excluded   []string // members that do not vote, sorted
	Voters     uint64   // members that do
	Base       uint64   // members that the threshold counts
	Need       uint64   // approvals needed
	Yes        uint64   // votes that stand
	No         uint64
	Abstain    uint64
	PerItem    bool   // a vote or a finding tells items apart: each is counted for itself
	Urgent     uint64 // approvals that list it provisionally, 0: not urgent
	Reason     string // basis or reason code
	Items      uint64 // of an addition
	Signals    uint64 // of an addition
	Entry      Hash   // of a dispute
	Subject    string // organisation that it is about, or empty
	ReplyMS    uint64 // log time by which a referral is to be decided, 0: none
	MarkMS     uint64 // log time at which an overdue case is marked, 0: it is not
	Stage      uint64 // 0: in time; 1: overdue, noticed; 2: marked
	Doubted    bool   // a key that was revoked took part
	Outcome    uint64 // 0 while open
	Decided    uint64 // log index of the decision
	DecidedMS  uint64 // log time
}

// Open reports whether votes still count.
func (c *Case) Open() bool { return c.Outcome == 0 }

// A VoteRecord is the vote that counts for one organisation.
type VoteRecord struct {
	_        struct{} `cbor:",toarray"`
	Choice   uint64
	Except   []uint64
	Reason   string
	Index    uint64 // of the operation in the log
	Key      KeyID
	Override []uint64
	Blast    []Blast
	Barred   bool // the voter was barred from urgency, in an urgent addition
}

// A QuotaRecord counts what an organisation opened on one day of log time.
type QuotaRecord struct {
	_     struct{} `cbor:",toarray"`
	Day   uint64   // log time in days
	Count uint64
}

// A BarRecord keeps an organisation from urgency.
type BarRecord struct {
	_       struct{} `cbor:",toarray"`
	UntilMS uint64   // log time
	Case    Hash     // that lapsed
}

// A ReviewRecord is a walk through the decisions since a key was lost.
type ReviewRecord struct {
	_     struct{} `cbor:",toarray"`
	Case  Hash     // that revoked the key
	Since uint64   // log index from which its operations are doubted
	Next  uint64   // log index of the decision to look at next
	Until uint64   // log index of the revocation
}

// A PanelRecord is a panel that is or was in force.
type PanelRecord struct {
	_     struct{} `cbor:",toarray"`
	Size  uint64   // of the log at which it took over: that checkpoint carries both panels' cosignatures
	From  uint64   // size from which a recovery went on, without those of the one before; 0: a hand-off
	Panel Panel
}

// A RecoveryRecord counts the members that ask for one recovery in a row of leaves.
type RecoveryRecord struct {
	_    struct{} `cbor:",toarray"`
	Body Hash     // SHA-256 of what they ask for
	Size uint64   // from which they go on, and log index of the first of them
	Orgs []string // in the order of the row
}

// A ReadyRecord says since when a sequencer counts.
type ReadyRecord struct {
	_     struct{} `cbor:",toarray"`
	Index uint64   // of its operation
	Size  uint64   // of the log that it held
}

// A ReceiptRecord is the furthest decision that an organisation confirmed.
type ReceiptRecord struct {
	_     struct{} `cbor:",toarray"`
	Index uint64   // of the decision
	AtMS  uint64   // by its own clock
	Count uint64   // confirmations so far
}

// An AwaitedRecord is the decision whose confirmation by all members is due next.
type AwaitedRecord struct {
	_     struct{} `cbor:",toarray"`
	Index uint64   // of the decision
	DueMS uint64   // log time
	Stage uint64   // 0: awaited, 1: noticed
}

// An ActionRecord sums what an organisation reported of its actions.
type ActionRecord struct {
	_       struct{} `cbor:",toarray"`
	Reports uint64
	Late    uint64 // that took longer than the policy's clock
	WorstMS uint64
}

// A MarksRecord counts marks on the public record, by what they are for.
type MarksRecord struct {
	_         struct{} `cbor:",toarray"`
	Referral  uint64
	Dispute   uint64
	Matchable uint64
}
