// SPDX-License-Identifier: Apache-2.0

package pdq

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"github.com/tocsin-db/tocsin/spec"
)

const (
	// Threshold is the largest distance at which two hashes match by default.
	Threshold = 31
	// MinQuality is the least quality at which a hash is worth proposing.
	MinQuality = 50
)

// A Hash is a PDQ hash of 256 bits, in the order in which it is printed: the
// coefficient of row i, column j is bit (16i+j)%8 of byte 31-(16i+j)/8.
type Hash [32]byte

// String returns the canonical text: 64 lower-case hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText returns the canonical text.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads the canonical text as Parse does.
func (h *Hash) UnmarshalText(text []byte) error {
	p, err := Parse(string(text))
	if err == nil {
		*h = p
	}
	return err
}

// Parse reads the canonical text of a hash: exactly 64 lower-case hex digits.
// Anything else is a spec.Error with code BAD_SIGNAL, which does not repeat s.
func Parse(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*len(h) {
		return h, spec.Errorf(spec.CodeSignal, "a PDQ hash has 64 hex digits, not %d characters", len(s))
	}
	for i := range len(s) {
		d, ok := digit(s[i])
		if !ok {
			return Hash{}, spec.Errorf(spec.CodeSignal, "a PDQ hash is written in lower-case hex digits")
		}
		h[i/2] = h[i/2]<<4 | d
	}
	return h, nil
}

func digit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// Distance counts the bits in which a and b differ: 0 to 256.
func Distance(a, b Hash) int {
	n := 0
	for i := 0; i < len(a); i += 8 {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]))
	}
	return n
}

// set sets the bit of coefficient k.
func (h *Hash) set(k int) { h[31-k/8] |= 1 << (k % 8) }
