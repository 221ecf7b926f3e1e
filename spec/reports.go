// SPDX-License-Identifier: Apache-2.0

package spec

// MaxReports bounds what one operation reports.
const MaxReports = 256

// Ready tells that a sequencer holds the state at a size of the log and counts
// from now on.
type Ready struct {
	_    struct{} `cbor:",toarray"`
	Size uint64
}

// Kind implements Body.
func (*Ready) Kind() uint64 { return KindReady }

// TextHashes implements Body.
func (*Ready) TextHashes() [][]byte { return nil }

// Check implements Body.
func (*Ready) Check() error { return nil }

// Applied is a propagation receipt: when the signer's own node had applied
// decisions, so that what they list was matchable there. The times are its own
// word.
type Applied struct {
	_  struct{}    `cbor:",toarray"`
	At []AppliedAt // by index, ascending
}

// AppliedAt says when the leaf at Index was applied.
type AppliedAt struct {
	_     struct{} `cbor:",toarray"`
	Index uint64
	AtMS  uint64 // by the node's own clock
}

// Kind implements Body.
func (*Applied) Kind() uint64 { return KindReceipt }

// TextHashes implements Body.
func (*Applied) TextHashes() [][]byte { return nil }

// Check implements Body.
func (a *Applied) Check() error {
	if len(a.At) == 0 || len(a.At) > MaxReports {
		return Errorf(CodeTooLarge, "a receipt is for 1 to %d decisions", MaxReports)
	}
	for i := 1; i < len(a.At); i++ {
		if a.At[i-1].Index >= a.At[i].Index {
			return Errorf(CodeMalformed, "a receipt is in the order of the log")
		}
	}
	return nil
}

// Actions report what a platform did about content that matched. The figures are
// its own word.
type Actions struct {
	_       struct{} `cbor:",toarray"`
	Reports []Action
}

// An Action is what was done about one entry's content.
type Action struct {
	_         struct{} `cbor:",toarray"`
	Entry     Hash
	MatchedMS uint64
	ActedMS   uint64
	What      string // code: removed, restricted, kept, restored …
	Count     uint64 // pieces of content
}

// Kind implements Body.
func (*Actions) Kind() uint64 { return KindAction }

// TextHashes implements Body.
func (*Actions) TextHashes() [][]byte { return nil }

// Check implements Body.
func (a *Actions) Check() error {
	if len(a.Reports) == 0 || len(a.Reports) > MaxReports {
		return Errorf(CodeTooLarge, "1 to %d actions are reported at once", MaxReports)
	}
	for i := range a.Reports {
		r := &a.Reports[i]
		if err := checkReason(r.What); err != nil {
			return err
		}
		if r.ActedMS < r.MatchedMS || r.Count == 0 {
			return Errorf(CodeMalformed, "an action comes after the match and is about at least one piece of content")
		}
	}
	return nil
}
