// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"crypto/ed25519"
	"crypto/sha256"

	"github.com/fxamacker/cbor/v2"

	"github.com/tocsin-db/tocsin/spec/edtable"
)

// OpVersion is the version of the operations described here.
const OpVersion = 1

// Kinds of operations. Numbers are never reused.
const (
	KindProposal   uint64 = 1
	KindVote       uint64 = 2
	KindDispute    uint64 = 3
	KindWithdraw   uint64 = 4
	KindMembership uint64 = 5
	KindKey        uint64 = 6
	KindPolicy     uint64 = 7
	KindReady      uint64 = 8
	KindRecover    uint64 = 9
	KindReceipt    uint64 = 10
	KindTaxonomy   uint64 = 11
	KindAllow      uint64 = 12
	KindAction     uint64 = 13
)

// An Op is a request of an organisation to change the shared state:
// [v, kind, org, key, seq, epoch, made_ms, body].
type Op struct {
	_       struct{} `cbor:",toarray"`
	Version uint64
	Kind    uint64
	Org     string
	Key     KeyID
	Seq     uint64 // grows by one with each operation of this key
	Epoch   uint64
	MadeMS  uint64 // informs; orders nothing
	Body    cbor.RawMessage
}

// An Envelope is a signed operation, and byte for byte the leaf of the log.
type Envelope struct {
	_   struct{} `cbor:",toarray"`
	Op  []byte
	Sig [ed25519.SignatureSize]byte
}

// A Body is what one kind of operation asks for.
type Body interface {
	// Kind returns the operation's number.
	Kind() uint64
	// Check refuses a body that is wrong whatever the state of the consortium.
	Check() error
	// TextHashes returns the salted hashes of the body's free texts, in order.
	TextHashes() [][]byte
}

// A Signed operation is a decoded envelope. Its signature is not yet checked:
// that takes the key, which the state knows.
type Signed struct {
	ID       Hash // leaf hash of Envelope: SHA-256(0x00 ‖ envelope), RFC 6962
	Envelope []byte
	Op       Op
	Body     Body
	message  []byte
	sig      [ed25519.SignatureSize]byte
	verified verdict
}

// A verdict remembers the last answer of Verify, so that signatures can be checked
// in parallel before the operations are applied in order.
type verdict struct {
	origin string
	key    PublicKey
	good   bool
}

// signedPrefix is what stands before the bytes of an operation when it is signed.
func signedPrefix(origin string) []byte {
	return mustEncode([]any{"tocsin.op.v1", origin})
}

// Sign returns the envelope of an operation for one consortium.
func Sign(origin string, op *Op, key ed25519.PrivateKey) ([]byte, error) {
	raw, err := Encode(op)
	if err != nil {
		return nil, err
	}
	env := Envelope{Op: raw}
	copy(env.Sig[:], ed25519.Sign(key, append(signedPrefix(origin), raw...)))
	b, err := Encode(&env)
	if err == nil && len(b) > MaxLeaf {
		err = Errorf(CodeTooLarge, "an operation is at most %d bytes", MaxLeaf)
	}
	return b, err
}

// NewOp fills in the parts of an operation that its body decides.
func NewOp(body Body) (*Op, error) {
	if err := body.Check(); err != nil {
		return nil, err
	}
	raw, err := Encode(body)
	if err != nil {
		return nil, err
	}
	return &Op{Version: OpVersion, Kind: body.Kind(), Body: raw}, nil
}

// ParseEnvelope decodes an operation strictly and checks all that needs no
// state: sizes, canonical encoding, version, kind, and the body's own rules.
func ParseEnvelope(data []byte) (*Signed, error) {
	if len(data) > MaxLeaf {
		return nil, Errorf(CodeTooLarge, "an operation is at most %d bytes", MaxLeaf)
	}
	var env Envelope
	if err := Decode(data, &env); err != nil {
		return nil, err
	}
	s := &Signed{ID: LeafHash(data), Envelope: data, message: env.Op, sig: env.Sig}
	if err := Decode(env.Op, &s.Op); err != nil {
		return nil, err
	}
	if s.Op.Version != OpVersion {
		return nil, Errorf(CodeVersion, "operation version %d is not known here", s.Op.Version)
	}
	body, err := DecodeBody(s.Op.Kind, s.Op.Body)
	if err != nil {
		return nil, err
	}
	s.Body = body
	return s, nil
}

// opKeys are those whose operations come now. Who signs with more of them loses time
// only.
var opKeys = edtable.Keys{Max: 48}

// Verify reports whether the signature is that of key for this consortium. It says what
// Go's crypto/ed25519.Verify says, and is never a batched or cofactored variant: those
// differ at the edges, and every node must agree.
//
// The last answer is remembered; one goroutine at a time may call it.
func (s *Signed) Verify(origin string, key PublicKey) bool {
	if origin == "" || s.verified.origin != origin || s.verified.key != key {
		good := opKeys.Of(key).Verify(append(signedPrefix(origin), s.message...), s.sig[:])
		s.verified = verdict{origin, key, good}
	}
	return s.verified.good
}

// LeafHash is the RFC 6962 hash of a leaf: SHA-256(0x00 ‖ leaf).
func LeafHash(leaf []byte) Hash {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(leaf)
	return Hash(h.Sum(nil))
}

// ReviewID names the case that the rules open against an entry in whose decision a
// revoked key took part.
func ReviewID(revocation, entry Hash) Hash {
	return hashOf("tocsin.review.v1", revocation, entry)
}

// EntryID names the entry that an item of an addition becomes.
func EntryID(caseID Hash, item int) Hash {
	return hashOf("tocsin.entry.v1", caseID, uint64(item))
}
