// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"bytes"
	"crypto/sha256"
	"unicode/utf8"
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
// quality]. Who may not see the value has [salt, item, k, quality] instead, which
// opens the commitment as well, and once erased only the commitment is left.
type Opened struct {
	Salt    [SaltSize]byte
	Item    int
	Signal  Signal // of one that is keyed the quality alone
	Keyed   bool   // k stands in the place of type and value
	Key     Hash   // k, set when Keyed
	Erased  bool
	Blinded Hash // set when Erased
}

// Hidden reports whether the value is not there.
func (o *Opened) Hidden() bool { return o.Keyed || o.Erased }

// SignalKey is k, or zero once erased.
func (o *Opened) SignalKey() Hash {
	switch {
	case o.Erased:
		return Hash{}
	case o.Keyed:
		return o.Key
	}
	return o.Signal.Key()
}

// withKey returns the signal with its key in the place of type and value.
func (o *Opened) withKey() Opened {
	if o.Hidden() {
		return *o
	}
	return Opened{Salt: o.Salt, Item: o.Item, Keyed: true, Key: o.Signal.Key(), Signal: Signal{Quality: o.Signal.Quality}}
}

// Commitment is c = SHA-256(CBOR["tocsin.signal.v1", salt, item, k, quality]).
func (o Opened) Commitment() Hash {
	if o.Erased {
		return o.Blinded
	}
	k := o.SignalKey()
	return sha256.Sum256(o.appendCommitment(make([]byte, 0, 96), &k))
}

// appendCommitment appends what Commitment hashes.
func (o *Opened) appendCommitment(b []byte, k *Hash) []byte {
	return AppendCommitment(b, o.Salt[:], uint64(o.Item), k[:], uint64(o.Signal.Quality))
}

func (o *Opened) append(b []byte) []byte {
	switch {
	case o.Erased:
		return appendBytes(b, o.Blinded[:])
	case o.Keyed:
		b = appendUint(appendBytes(appendHead(b, majorArray, 4), o.Salt[:]), uint64(o.Item))
		b = appendBytes(b, o.Key[:])
	default:
		b = appendUint(appendBytes(appendHead(b, majorArray, 5), o.Salt[:]), uint64(o.Item))
		b = appendBytes(appendText(b, o.Signal.Type), o.Signal.Value)
	}
	return appendUint(b, uint64(o.Signal.Quality))
}

func (o *Opened) read(r *quickReader) {
	if r.next() == majorBytes {
		c := r.bytes()
		r.bad = r.bad || len(c) != len(o.Blinded)
		o.Erased = true
		copy(o.Blinded[:], c)
		return
	}
	n := r.array()
	salt, item := r.bytes(), r.uint()
	if o.Keyed = n == 4; o.Keyed {
		k := r.bytes()
		r.bad = r.bad || len(k) != len(o.Key)
		copy(o.Key[:], k)
	} else {
		typ, value := r.text(), r.bytes()
		r.bad = r.bad || n != 5 || !utf8.ValidString(typ)
		o.Signal = Signal{Type: typ, Value: bytes.Clone(value)}
	}
	quality := r.uint()
	r.bad = r.bad || len(salt) != SaltSize || item >= MaxItems || quality > 100
	copy(o.Salt[:], salt)
	o.Item, o.Signal.Quality = int(item), int(quality)
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
//
// It must not change once Root was asked for.
type Opening struct {
	Signals []Opened
	Texts   []Text
	root    *Hash // remembered
}

// Root is the RFC 6962 root over the signals' commitments. It is computed once;
// one goroutine at a time may ask.
func (o *Opening) Root() Hash {
	if o.root == nil {
		h := CommitmentRoot(o.Signals)
		o.root = &h
	}
	return *o.root
}

// Keys returns the opening as the digest tier has it: of each signal that was not
// erased k in the place of type and value, and no text.
func (o *Opening) Keys() *Opening {
	out := &Opening{Signals: make([]Opened, len(o.Signals))}
	for i := range o.Signals {
		out.Signals[i] = o.Signals[i].withKey()
	}
	return out
}

// Tier is the tier whose openings are like this one, or "" where all is erased: of
// one tier and the other at once there is none, and it is refused with MALFORMED.
func (o *Opening) Tier() (string, error) {
	tier := ""
	for i := range o.Signals {
		s := &o.Signals[i]
		is := TierFull
		if s.Keyed {
			is = TierDigest
		}
		switch {
		case s.Erased:
		case tier == "":
			tier = is
		case tier != is:
			return "", Errorf(CodeMalformed, "an opening has all its values, or keys in the place of all")
		}
	}
	return tier, nil
}

// Encode returns the canonical bytes.
func (o *Opening) Encode() ([]byte, error) {
	b := appendHead(make([]byte, 0, 64+96*len(o.Signals)), majorArray, 2)
	b = appendHead(b, majorArray, uint64(len(o.Signals)))
	for i := range o.Signals {
		b = o.Signals[i].append(b)
	}
	b = appendHead(b, majorArray, uint64(len(o.Texts)))
	for _, t := range o.Texts {
		b = appendText(appendBytes(appendHead(b, majorArray, 2), t.Salt), t.Text)
	}
	if len(b) > MaxOpening {
		return nil, Errorf(CodeTooLarge, "an opening is at most %d bytes", MaxOpening)
	}
	return b, nil
}

// MaxTexts bounds the texts of one opening.
const MaxTexts = 16

// ParseOpening reads and bounds an opening. Whether it belongs to an operation
// is decided by Proposal.Matches and MatchTexts.
func ParseOpening(data []byte) (*Opening, error) {
	if len(data) > MaxOpening {
		return nil, Errorf(CodeTooLarge, "an opening is at most %d bytes", MaxOpening)
	}
	r := &quickReader{rest: data}
	bad := Errorf(CodeMalformed, "not a deterministic CBOR opening")
	outer, n := r.array(), r.array()
	if r.bad || outer != 2 || n > uint64(len(r.rest)) {
		return nil, bad
	}
	if n > MaxSignals {
		return nil, Errorf(CodeTooLarge, "a proposal has at most %d signals", MaxSignals)
	}
	o := &Opening{Signals: make([]Opened, n)}
	for i := range o.Signals {
		o.Signals[i].read(r)
	}
	if err := o.readTexts(r); err != nil {
		return nil, err
	}
	if r.bad || len(r.rest) != 0 {
		return nil, bad
	}
	return o, nil
}

func (o *Opening) readTexts(r *quickReader) error {
	n := r.array()
	if n > MaxTexts {
		return Errorf(CodeTooLarge, "an opening has at most %d texts", MaxTexts)
	}
	for range n {
		pair := r.array()
		t := Text{Salt: bytes.Clone(r.bytes()), Text: r.text()}
		if r.bad || pair != 2 || !utf8.ValidString(t.Text) {
			r.bad = true
			return nil
		}
		if err := t.check(); err != nil {
			return err
		}
		o.Texts = append(o.Texts, t)
	}
	return nil
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
