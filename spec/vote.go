// SPDX-License-Identifier: Apache-2.0

package spec

// Choices of a vote.
const (
	Approve uint64 = 1
	Reject  uint64 = 2
	Abstain uint64 = 3
)

// A Vote is a member's signed ballot on a case.
type Vote struct {
	_        struct{} `cbor:",toarray"`
	Case     Hash
	Choice   uint64
	Except   []uint64 // numbers of items that the approval leaves out, ascending
	Reason   string   // code, or empty
	Text     []byte   // salted hash, or empty
	Override []uint64 // numbers of items that the approval takes although they are held, ascending
	Blast    []Blast  // what the items would hit at the voter's own site, by item, where it looked
}

// A Blast is how much one item would hit at the voter's own site: numbers alone.
type Blast struct {
	_         struct{} `cbor:",toarray"`
	Item      uint64
	Sightings uint64 // uploads seen there that the item matches
	Lawful    uint64 // entries of its own list of lawful content that the item matches
}

// Kind implements Body.
func (*Vote) Kind() uint64 { return KindVote }

// TextHashes implements Body.
func (v *Vote) TextHashes() [][]byte { return [][]byte{v.Text} }

// Check implements Body.
func (v *Vote) Check() error {
	if v.Choice < Approve || v.Choice > Abstain {
		return Errorf(CodeMalformed, "a vote is approve, reject or abstain")
	}
	if v.Choice != Approve && len(v.Except)+len(v.Override) > 0 {
		return Errorf(CodeMalformed, "only an approval leaves items out or overrides what holds them")
	}
	if err := checkNumbers("items left out", v.Except, MaxItems); err != nil {
		return err
	}
	if err := checkNumbers("items overridden", v.Override, MaxItems); err != nil {
		return err
	}
	items := make([]uint64, len(v.Blast))
	for i, b := range v.Blast {
		items[i] = b.Item
	}
	if err := checkNumbers("items looked up", items, MaxItems); err != nil {
		return err
	}
	if v.Reason != "" {
		if err := checkReason(v.Reason); err != nil {
			return err
		}
	}
	return checkTextHashes(v.Text)
}
