// SPDX-License-Identifier: Apache-2.0

package spec

// Limits on what one raft entry carries.
const (
	MaxRaftEntry   = 256 << 10 // bytes of one encoded raft entry
	MaxSubmissions = 1200      // submissions in one raft entry
)

// A Submission is what an organisation hands over: a signed operation and, for
// those that need one, the opening beside it.
type Submission struct {
	_        struct{} `cbor:",toarray"`
	Envelope []byte
	Opening  []byte // empty: none
}

// A RaftEntry is what the leader puts in order: [tick[], [[envelope, opening]…]].
type RaftEntry struct {
	_           struct{} `cbor:",toarray"`
	Tick        []Timed  // the checkpoint of the tick that it begins with, or none
	Submissions []Submission
}

// Marshal encodes the entry. It fails with TOO_LARGE above the limits.
func (e *RaftEntry) Marshal() ([]byte, error) {
	if len(e.Submissions) > MaxSubmissions {
		return nil, Errorf(CodeTooLarge, "a raft entry holds at most %d submissions", MaxSubmissions)
	}
	b, err := Encode(e)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxRaftEntry {
		return nil, Errorf(CodeTooLarge, "a raft entry is at most %d bytes", MaxRaftEntry)
	}
	return b, nil
}

// ParseRaftEntry is the reverse of Marshal.
func ParseRaftEntry(data []byte) (*RaftEntry, error) {
	if len(data) > MaxRaftEntry {
		return nil, Errorf(CodeTooLarge, "a raft entry is at most %d bytes", MaxRaftEntry)
	}
	var e RaftEntry
	if err := Decode(data, &e); err != nil {
		return nil, err
	}
	if len(e.Submissions) > MaxSubmissions {
		return nil, Errorf(CodeTooLarge, "a raft entry holds at most %d submissions", MaxSubmissions)
	}
	if len(e.Tick) > 1 || len(e.Tick) == 1 && len(e.Tick[0].Cosignatures) > MaxSequencers {
		return nil, Errorf(CodeTooLarge, "a raft entry begins with at most one tick, of at most %d cosignatures", MaxSequencers)
	}
	return &e, nil
}

// An Outcome tells what became of one submission. An empty Code means that the
// operation stands in the log at Index; otherwise it left no leaf.
type Outcome struct {
	_       struct{} `cbor:",toarray"`
	ID      Hash     // the operation's id
	Index   uint64   // of its leaf in the log
	Code    Code
	Message string
}

// Err returns nil for an accepted operation, else the refusal.
func (o Outcome) Err() error {
	if o.Code == "" {
		return nil
	}
	return &Error{Code: o.Code, Message: o.Message}
}
