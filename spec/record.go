// SPDX-License-Identifier: Apache-2.0

package spec

import "encoding/binary"

// The records of the rules' state: everything that a decision depends on, and
// nothing that only some replicas hold. rules.md lists the keys. A record's key
// is one byte for its kind followed by its parts. Bytes are never reused.
const (
	recordGenesis   byte = 'g'
	recordPolicy    byte = 'p'
	recordPast      byte = 'P'
	recordClock     byte = 't'
	recordOrg       byte = 'o'
	recordFormer    byte = 'x'
	recordSeq       byte = 'q'
	recordCase      byte = 'c'
	recordContent   byte = 'i'
	recordAdmission byte = 'h'
	recordVote      byte = 'v'
	recordDue       byte = 'd'
	recordDecided   byte = 'j'
	recordEntry     byte = 'n'
	recordPending   byte = 'z'
	recordQuota     byte = 'u'
	recordBar       byte = 'b'
	recordReview    byte = 'r'
	recordTaxonomy  byte = 'l'
	recordAllowed   byte = 'a'
	recordReady     byte = 's'
	recordReceipt   byte = 'w'
	recordAwaited   byte = 'f'
	recordAction    byte = 'k'
	recordMarks     byte = 'm'
	recordPanel     byte = 'y'
	recordRecovery  byte = 'e'
)

// Keys of the records that exist once.
var (
	GenesisKey  = []byte{recordGenesis}
	PolicyKey   = []byte{recordPolicy}
	ClockKey    = []byte{recordClock}
	TaxonomyKey = []byte{recordTaxonomy}
	AwaitedKey  = []byte{recordAwaited}
	RecoveryKey = []byte{recordRecovery}
)

// Prefixes under which records of one kind stand, in the order of their keys.
var (
	OrgPrefix     = []byte{recordOrg}
	FormerPrefix  = []byte{recordFormer}
	CasePrefix    = []byte{recordCase}
	DuePrefix     = []byte{recordDue}
	DecidedPrefix = []byte{recordDecided}
	EntryPrefix   = []byte{recordEntry}
	ReviewPrefix  = []byte{recordReview}
	ReadyPrefix   = []byte{recordReady}
	ReceiptPrefix = []byte{recordReceipt}
	ActionPrefix  = []byte{recordAction}
	MarksPrefix   = []byte{recordMarks}
	PanelPrefix   = []byte{recordPanel}
)

// Keys of records that stand under the id of an organisation.

// OrgKey is the key of an enrolled organisation.
func OrgKey(id string) []byte { return append([]byte{recordOrg}, id...) }

// FormerKey is the key of an organisation that left or was expelled.
func FormerKey(id string) []byte { return append([]byte{recordFormer}, id...) }

// BarKey is the key of an organisation's bar from urgency.
func BarKey(id string) []byte { return append([]byte{recordBar}, id...) }

// ReadyKey is the key of a sequencer's readiness.
func ReadyKey(id string) []byte { return append([]byte{recordReady}, id...) }

// ReceiptKey is the key of an organisation's latest propagation receipt.
func ReceiptKey(id string) []byte { return append([]byte{recordReceipt}, id...) }

// ActionKey is the key of the sums of an organisation's action reports.
func ActionKey(id string) []byte { return append([]byte{recordAction}, id...) }

// MarksKey is the key of an organisation's marks.
func MarksKey(id string) []byte { return append([]byte{recordMarks}, id...) }

// SeqKey is the key of the replay window of one op key.
func SeqKey(org string, key KeyID) []byte {
	b := append([]byte{recordSeq}, org...)
	return append(append(b, 0), key[:]...)
}

// ReviewKey is the key of a review of what a revoked key did.
func ReviewKey(org string, key KeyID) []byte {
	b := append([]byte{recordReview}, org...)
	return append(append(b, 0), key[:]...)
}

// QuotaKey is the key of what an organisation opened on the last day that it
// opened something of a kind.
func QuotaKey(org string, what byte) []byte {
	return append(append([]byte{recordQuota}, org...), 0, what)
}

// PendingKey is the key of the open case that asks for an action on an
// organisation.
func PendingKey(action uint64, org string) []byte {
	return append([]byte{recordPending, byte(action)}, org...)
}

// PastPolicyKey is the key of a policy that is or was in force.
func PastPolicyKey(digest Hash) []byte { return append([]byte{recordPast}, digest[:]...) }

// AllowedKey is the key of the allow-list for one type of signal.
func AllowedKey(typ string) []byte { return append([]byte{recordAllowed}, typ...) }

// Keys of records that stand under the id of a case or an entry.

// CaseKey is the key of a case.
func CaseKey(id Hash) []byte { return append([]byte{recordCase}, id[:]...) }

// ContentKey is the key of what a case is about: the body of the operation that
// opened it, byte for byte.
func ContentKey(id Hash) []byte { return append([]byte{recordContent}, id[:]...) }

// AdmissionKey is the key of what the admission checks found in a proposal.
func AdmissionKey(id Hash) []byte { return append([]byte{recordAdmission}, id[:]...) }

// VotePrefix precedes the votes of a case.
func VotePrefix(id Hash) []byte { return append([]byte{recordVote}, id[:]...) }

// VoteKey is the key of an organisation's vote in a case.
func VoteKey(id Hash, org string) []byte { return append(VotePrefix(id), org...) }

// EntryKey is the key of an entry.
func EntryKey(id Hash) []byte { return append([]byte{recordEntry}, id[:]...) }

// Never is a log time that does not come.
const Never = 1<<64 - 1

// DueKey orders open cases by the log time at which the rules look at them again;
// each open case stands there once. The value is empty.
func DueKey(dueMS uint64, id Hash) []byte {
	b := binary.BigEndian.AppendUint64([]byte{recordDue}, dueMS)
	return append(b, id[:]...)
}

// ParseDueKey is the reverse of DueKey.
func ParseDueKey(key []byte) (dueMS uint64, id Hash, ok bool) {
	if len(key) != 1+8+len(id) || key[0] != recordDue {
		return 0, id, false
	}
	copy(id[:], key[9:])
	return binary.BigEndian.Uint64(key[1:]), id, true
}

// DecidedKey orders decided cases by the log index of the decision. The value is
// the 32 bytes of the case's id.
func DecidedKey(index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{recordDecided}, index)
}

// ParseDecided reads a record under DecidedPrefix.
func ParseDecided(key, value []byte) (index uint64, id Hash, ok bool) {
	if len(key) != 9 || key[0] != recordDecided || len(value) != len(id) {
		return 0, id, false
	}
	copy(id[:], value)
	return binary.BigEndian.Uint64(key[1:]), id, true
}

// PanelKey is the key of the panel of this number.
func PanelKey(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{recordPanel}, number)
}

// RuleLeaf is the leaf of the tree of the rules' records: SHA-256(0x00 ‖
// CBOR[key, value]).
func RuleLeaf(key, value []byte) Hash {
	return LeafHash(mustEncode([]any{key, value}))
}

// RulePlace orders the records in their tree: SHA-256 over the key, so that a
// change touches one bucket.
func RulePlace(key []byte) Hash { return hashOf("tocsin.rule.v1", key) }
