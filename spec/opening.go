// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"github.com/fxamacker/cbor/v2"
)

// Limits of a proposal and its opening.
const (
	MaxSignals = 2048      // signals in one proposal
	MaxItems   = 256       // items in one proposal
	MaxOpening = 128 << 10 // bytes of one opening
	MaxText    = 2 << 10   // bytes of one free text
	SaltSize   = 16        // bytes
	MaxLeaf    = 60 << 10  // bytes of one envelope
)

// An Opened signal is what a blinded commitment hides: [salt, item, type, value,
// quality]. Once erased only the commitment is left.
type Opened struct {
	Salt    [SaltSize]byte
	Item    int
	Signal  Signal
	Erased  bool
	Blinded Hash // set when Erased
}

// Commitment is c = SHA-256(CBOR["tocsin.signal.v1", salt, item, type, value, quality]).
func (o Opened) Commitment() Hash {
	if o.Erased {
		return o.Blinded
	}
	return hashOf("tocsin.signal.v1", o.Salt, o.Item, o.Signal.Type, o.Signal.Value, o.Signal.Quality)
}

type openedWire struct {
	_       struct{} `cbor:",toarray"`
	Salt    [SaltSize]byte
	Item    uint64
	Type    string
	Value   []byte
	Quality uint64
}

// MarshalCBOR writes the array, or the bare commitment of an erased signal.
func (o Opened) MarshalCBOR() ([]byte, error) {
	if o.Erased {
		return encMode.Marshal(o.Blinded)
	}
	return encMode.Marshal(openedWire{Salt: o.Salt, Item: uint64(o.Item), Type: o.Signal.Type, Value: o.Signal.Value, Quality: uint64(o.Signal.Quality)})
}

// UnmarshalCBOR is the reverse of MarshalCBOR.
func (o *Opened) UnmarshalCBOR(data []byte) error {
	*o = Opened{}
	if len(data) > 0 && data[0]>>5 == 2 { // a byte string
		o.Erased = true
		return decMode.Unmarshal(data, &o.Blinded)
	}
	var w openedWire
	if err := decMode.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.Item >= MaxItems || w.Quality > 100 {
		return Errorf(CodeMalformed, "an opened signal is out of range")
	}
	o.Salt, o.Item = w.Salt, int(w.Item)
	o.Signal = Signal{Type: w.Type, Value: w.Value, Quality: int(w.Quality)}
	return nil
}

// A Text is free text with its salt. The log holds its hash alone.
type Text struct {
	_    struct{} `cbor:",toarray"`
	Salt []byte   // SaltSize bytes, or none when there is no text
	Text string
}

// Hash is the salted hash that stands in the log, or nil for no text.
func (t Text) Hash() []byte {
	if len(t.Salt) == 0 {
		return nil
	}
	h := hashOf("tocsin.text.v1", t.Salt, t.Text)
	return h[:]
}

// check refuses a text that is too long or whose salt has another size.
func (t Text) check() error {
	if len(t.Text) > MaxText {
		return Errorf(CodeTooLarge, "a text has at most %d bytes", MaxText)
	}
	if len(t.Salt) != SaltSize && (len(t.Salt) != 0 || t.Text != "") {
		return Errorf(CodeMalformed, "a text carries a salt of %d bytes", SaltSize)
	}
	return nil
}

// An Opening holds what an operation's leaf hides: the signals in their order
// and the free texts in the order of the body's text fields.
type Opening struct {
	_       struct{} `cbor:",toarray"`
	Signals []Opened
	Texts   []Text
}

// Encode returns the canonical bytes.
func (o *Opening) Encode() ([]byte, error) {
	b, err := Encode(o)
	if err == nil && len(b) > MaxOpening {
		err = Errorf(CodeTooLarge, "an opening is at most %d bytes", MaxOpening)
	}
	return b, err
}

// ParseOpening reads and bounds an opening. Whether it belongs to an operation
// is decided by Proposal.Matches and MatchTexts.
func ParseOpening(data []byte) (*Opening, error) {
	if len(data) > MaxOpening {
		return nil, Errorf(CodeTooLarge, "an opening is at most %d bytes", MaxOpening)
	}
	var o Opening
	if err := Decode(data, &o); err != nil {
		return nil, err
	}
	if len(o.Signals) > MaxSignals {
		return nil, Errorf(CodeTooLarge, "a proposal has at most %d signals", MaxSignals)
	}
	for _, t := range o.Texts {
		if err := t.check(); err != nil {
			return nil, err
		}
	}
	return &o, nil
}

// MatchTexts reports with OPENING_MISMATCH whether the texts are those that
// hashes commit to.
func (o *Opening) MatchTexts(hashes ...[]byte) error {
	if len(o.Texts) != len(hashes) {
		return Errorf(CodeMismatch, "the opening has %d texts where the operation has %d", len(o.Texts), len(hashes))
	}
	for i, t := range o.Texts {
		if h := t.Hash(); string(h) != string(hashes[i]) {
			return Errorf(CodeMismatch, "text %d of the opening is not the one committed to", i)
		}
	}
	return nil
}

var _ cbor.Marshaler = Opened{}
var _ cbor.Unmarshaler = (*Opened)(nil)
