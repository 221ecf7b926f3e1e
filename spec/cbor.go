// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"github.com/fxamacker/cbor/v2"
)

// maxDepth is the deepest nesting that any tocsin object needs, with room for
// none that it does not.
const maxDepth = 8

var (
	encMode = must(encOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   maxDepth,
		MaxArrayElements:  1 << 16,
		MaxMapPairs:       1 << 10,
		UTF8:              cbor.UTF8RejectInvalid,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecMode())
)

func encOptions() cbor.EncOptions {
	o := cbor.CoreDetEncOptions()
	o.NilContainers = cbor.NilContainerAsEmpty // null never stands for "empty"
	o.IndefLength = cbor.IndefLengthForbidden
	o.TagsMd = cbor.TagsForbidden
	return o
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // options above are constants: this cannot depend on input
	}
	return v
}

// Encode returns the deterministic CBOR of v (RFC 8949 §4.2.1). Every object of
// this package encodes as an array in the order of its fields.
func Encode(v any) ([]byte, error) {
	b, err := encMode.Marshal(v)
	if err != nil {
		return nil, Errorf(CodeMalformed, "encoding %T: %w", v, err)
	}
	return b, nil
}

// mustEncode is for values of our own types, whose encoding cannot fail.
func mustEncode(v any) []byte { return must(encMode.Marshal(v)) }

// Decode reads exactly one deterministic CBOR object into v, a pointer. It
// refuses what does not re-encode to the same bytes: what is signed or hashed is
// what was received, so two encodings of one object must not exist.
func Decode(data []byte, v any) error {
	if err := decMode.Unmarshal(data, v); err != nil {
		return Errorf(CodeMalformed, "not a deterministic CBOR %T", v)
	}
	again, err := encMode.Marshal(v)
	if err != nil || !bytes.Equal(again, data) {
		return Errorf(CodeMalformed, "not the canonical encoding of %T", v)
	}
	return nil
}

// DecodeStored is Decode for records that this node encoded itself and that its
// roots commit to: it need not ask whether they are canonical.
func DecodeStored(data []byte, v any) error {
	if err := decMode.Unmarshal(data, v); err != nil {
		return Errorf(CodeMalformed, "not a record of %T", v)
	}
	return nil
}

// Hash is a SHA-256 digest: the id of operations, cases and entries.
type Hash [sha256.Size]byte

// String returns 64 lower-case hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is unset.
func (h Hash) IsZero() bool { return h == Hash{} }

// ParseHash reads 64 lower-case hex digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*len(h) {
		return h, Errorf(CodeMalformed, "an id has %d hex digits, not %d", 2*len(h), len(s))
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil || h.String() != s {
		return Hash{}, Errorf(CodeMalformed, "an id is written in lower-case hex digits")
	}
	return h, nil
}

// hashOf is SHA-256 over a CBOR array that begins with a domain string.
func hashOf(domain string, fields ...any) Hash {
	return sha256.Sum256(mustEncode(append([]any{domain}, fields...)))
}
