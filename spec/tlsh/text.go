// SPDX-License-Identifier: Apache-2.0

package tlsh

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// SumText is the value of a text_tlsh signal: the hash of the text's UTF-8
// bytes as they are, which is what python-threatexchange computes.
func SumText(text string) (Hash, error) { return Sum([]byte(text)) }

// SumNormal is the value of a text_tlsh_norm signal: the hash of Normalize(text).
func SumNormal(text string) (Hash, error) { return Sum([]byte(Normalize(text))) }

// Normalize returns the normal form of a text: Unicode form NFKC, white space
// (the property White_Space) dropped, each letter mapped to lower case by the
// simple mapping. It repeats until nothing changes, so that the result is its
// own normal form. Runs of bytes that are not UTF-8 become one U+FFFD.
//
// Extractors of one document agree on its letters and hardly ever on its
// spaces and line breaks; without them their texts have one hash.
func Normalize(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	for {
		next := strings.Map(fold, norm.NFKC.String(text))
		if next == text {
			return next
		}
		text = next
	}
}

func fold(r rune) rune {
	if unicode.IsSpace(r) {
		return -1
	}
	return unicode.ToLower(r)
}
