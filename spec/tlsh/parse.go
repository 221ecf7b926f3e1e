// SPDX-License-Identifier: Apache-2.0

package tlsh

import (
	"encoding/hex"
	"strings"

	"github.com/tocsin-db/tocsin/spec"
)

const version = "T1"

// String returns the canonical text: "T1" and 70 upper-case hex digits.
func (h Hash) String() string { return version + h.Bare() }

// Bare returns the 70 digits without the version, as STIX 2.1 writes them.
func (h Hash) Bare() string { return strings.ToUpper(hex.EncodeToString(h[:])) }

// Parse reads the canonical text and nothing else: 72 characters, upper case.
// Its error is spec.CodeSignal and does not repeat the text.
func Parse(s string) (Hash, error) {
	bare, ok := strings.CutPrefix(s, version)
	if !ok || len(s) != StringSize {
		return Hash{}, errMalformed()
	}
	return ParseBare(bare)
}

// ParseBare reads 70 upper-case hex digits without a version.
func ParseBare(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*Size || s != strings.ToUpper(s) {
		return Hash{}, errMalformed()
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return Hash{}, errMalformed()
	}
	return h, nil
}

// Check refuses what Parse refuses.
func Check(s string) error {
	_, err := Parse(s)
	return err
}

func errMalformed() error {
	return spec.Errorf(spec.CodeSignal, "a TLSH is written as T1 and 70 upper-case hex digits")
}
