// SPDX-License-Identifier: Apache-2.0

// Package chromaprint holds the value of an audio signal: the fingerprint that
// Chromaprint (fpcalc) computes, as it prints it, and how two are compared. The
// sound itself is fingerprinted elsewhere: node/media/audio.
//
// A fingerprint is a sequence of 32-bit items, about eight a second, each
// describing 2.6 seconds of sound. The compressed form is that of Chromaprint
// 1.5 (L. Lalinský, https://acoustid.org/chromaprint); comparing follows
// J. Haitsma and T. Kalker, "A Highly Robust Audio Fingerprinting System"
// (ISMIR 2002). The normative text is ../chromaprint.md.
package chromaprint

import (
	"math/bits"

	"github.com/tocsin-db/tocsin/spec"
)

const (
	// Algorithm is the one that fpcalc uses by default (its number 2, written
	// as 1). Fingerprints of different algorithms say nothing to each other.
	Algorithm = 1
	// Source names the specification of the type.
	Source = "chromaprint.md; L. Lalinský, Chromaprint (acoustid.org)"
	// MaxItems bounds a fingerprint: seventeen minutes.
	MaxItems = 1 << 13
	// MinOverlap is the least number of items that must lie over each other in
	// a match: ten seconds.
	MinOverlap = 80
	// MinDistinct is the least number of different items among those that
	// lie over each other: silence and steady tones all look alike.
	MinDistinct = 24
	// Threshold is the share of differing bits, in thousandths, up to which
	// two fingerprints match.
	Threshold = 250
)

// A Fingerprint is what Chromaprint computes.
type Fingerprint struct {
	Algorithm byte
	Items     []uint32
}

// Distinct counts the different items. Below MinDistinct a fingerprint matches
// nothing and is not worth proposing.
func (f Fingerprint) Distinct() int { return distinct(f.Items) }

func distinct(items []uint32) int {
	seen := make(map[uint32]struct{}, len(items))
	for _, v := range items {
		seen[v] = struct{}{}
	}
	return len(seen)
}

// Check refuses a fingerprint of another algorithm, or with no items or too
// many, with spec.CodeSignal and spec.CodeTooLarge.
func (f Fingerprint) Check() error {
	switch {
	case f.Algorithm != Algorithm:
		return spec.Errorf(spec.CodeSignal, "this fingerprint is of another algorithm of Chromaprint")
	case len(f.Items) == 0:
		return spec.Errorf(spec.CodeSignal, "a fingerprint has at least one item")
	case len(f.Items) > MaxItems:
		return spec.Errorf(spec.CodeTooLarge, "a fingerprint has at most %d items", MaxItems)
	}
	return nil
}

// An Alignment is how two fingerprints lie over each other best.
type Alignment struct {
	Offset   int // item Offset+i of the second lies over item i of the first
	Overlap  int // items that lie over each other; 0 if nothing could be compared
	Errors   int // bits that differ among them
	Distinct int // different items, in the fingerprint with fewer of them there
}

// Align finds the offset with the smallest share of differing bits among those
// with at least MinOverlap items in common; of equals the longest overlap. It
// takes time in proportion to the product of the lengths.
func Align(a, b Fingerprint) Alignment {
	var best Alignment
	if a.Algorithm != b.Algorithm || min(len(a.Items), len(b.Items)) < MinOverlap {
		return best
	}
	for offset := MinOverlap - len(a.Items); offset <= len(b.Items)-MinOverlap; offset++ {
		x, y := over(a.Items, b.Items, offset)
		now := Alignment{Offset: offset, Overlap: len(x), Errors: differing(x, y)}
		if best.Overlap == 0 || now.better(best) {
			best = now
		}
	}
	if best.Overlap > 0 {
		x, y := over(a.Items, b.Items, best.Offset)
		best.Distinct = min(distinct(x), distinct(y))
	}
	return best
}

// over cuts out the items that lie over each other.
func over(a, b []uint32, offset int) (x, y []uint32) {
	if offset >= 0 {
		b = b[offset:]
	} else {
		a = a[-offset:]
	}
	n := min(len(a), len(b))
	return a[:n], b[:n]
}

func differing(a, b []uint32) (n int) {
	b = b[:len(a)]
	for i, v := range a {
		n += bits.OnesCount32(v ^ b[i])
	}
	return n
}

func (a Alignment) better(o Alignment) bool {
	l, r := a.Errors*o.Overlap, o.Errors*a.Overlap
	return l < r || l == r && a.Overlap > o.Overlap
}

// Rate is the share of differing bits in thousandths, rounded up; 1000 if
// nothing could be compared.
func (a Alignment) Rate() int {
	if a.Overlap == 0 {
		return 1000
	}
	n := 32 * a.Overlap
	return (1000*a.Errors + n - 1) / n
}

// Match reports whether the two fingerprints are of the same sound: enough
// items in common, different enough among themselves, and few differing bits.
func (a Alignment) Match() bool {
	return a.Overlap >= MinOverlap && a.Distinct >= MinDistinct && a.Rate() <= Threshold
}
