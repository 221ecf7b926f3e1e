// SPDX-License-Identifier: Apache-2.0

// Package tlsh computes and compares TLSH, the locality-sensitive hash of
// texts: 128 buckets, one checksum byte, version 1. A small edit of a text
// moves its hash by a small distance.
//
// The algorithm is that of Oliver, Cheng and Chen, "TLSH: A Locality Sensitive
// Hash" (CTC 2013); the choices that the paper leaves open are those of the
// published implementation, so that values travel to and from other tools.
// The normative description is ../tlsh.md.
package tlsh

import (
	"errors"
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

const (
	// Size is the length of a Hash in bytes.
	Size = 35
	// StringSize is the length of the canonical text: "T1" and 70 hex digits.
	StringSize = 72
	// MinLen and MaxLen bound the texts that have a hash, in bytes.
	// MinShortLen replaces MinLen where a Hasher allows short texts.
	MinLen      = 256
	MinShortLen = 50
	MaxLen      = 4224281216
	// Threshold is the DiffXLen up to which two texts match by default, as in
	// python-threatexchange's text_tlsh.
	Threshold = 30

	// Source names the specification of the type.
	Source = "tlsh.md; J. Oliver, C. Cheng, Y. Chen, TLSH: A Locality Sensitive Hash, CTC 2013"

	buckets = 128 // of 256 counted: the others only thin out the counts
)

// Reasons why a text has no hash. Sum wraps them in a spec.Error.
var (
	ErrTooShort   = errors.New("it has too few bytes")
	ErrTooLong    = errors.New("it has more than 4224281216 bytes")
	ErrTooUniform = errors.New("it is too uniform")
)

// A Hash is a TLSH in the byte order of its text: checksum, length class and
// quartile ratios, each with its two half bytes exchanged, then 32 bytes with
// the quartile of each bucket, the last buckets first.
type Hash [Size]byte

// A Hasher is a TLSH being computed over the bytes written to it. Its zero
// value is ready; a text may be written in any portions.
type Hasher struct {
	// AllowShort gives texts from MinShortLen bytes a hash, as versions 4 and
	// later of the published implementation do. So few triplets say little:
	// values of such texts can be compared, but are not made by default.
	AllowShort bool

	counts   [256]uint32
	tail     [4]byte // the last bytes seen, the newest first
	n        uint64
	checksum byte
}

// Sum returns the hash of data; see Hasher.Sum.
func Sum(data []byte) (Hash, error) {
	var h Hasher
	h.Write(data)
	return h.Sum()
}

// Write adds p to the text. It never fails.
func (h *Hasher) Write(p []byte) (int, error) {
	n, sum := h.n, h.checksum
	c1, c2, c3, c4 := h.tail[0], h.tail[1], h.tail[2], h.tail[3]
	for _, c := range p {
		if n >= 4 {
			sum = pearson3(salt0, c, c1, sum)
			h.counts[pearson3(salt2, c, c1, c2)]++
			h.counts[pearson3(salt3, c, c1, c3)]++
			h.counts[pearson3(salt5, c, c2, c3)]++
			h.counts[pearson3(salt7, c, c2, c4)]++
			h.counts[pearson3(salt11, c, c1, c4)]++
			h.counts[pearson3(salt13, c, c3, c4)]++
		}
		c1, c2, c3, c4 = c, c1, c2, c3
		n++
	}
	h.n, h.checksum, h.tail = n, sum, [4]byte{c1, c2, c3, c4}
	return len(p), nil
}

// Reset forgets everything written.
func (h *Hasher) Reset() { *h = Hasher{AllowShort: h.AllowShort} }

// Sum returns the hash of what was written so far. A text that has none gives
// spec.CodeSignal with ErrTooShort, ErrTooLong or ErrTooUniform as its cause.
func (h *Hasher) Sum() (Hash, error) {
	if err := h.check(); err != nil {
		return Hash{}, spec.Errorf(spec.CodeSignal, "the text has no TLSH: %w", err)
	}
	q1, q2, q3 := h.quartiles()
	var out Hash
	out[0] = swap(h.checksum)
	out[1] = swap(lengthClass(h.n))
	out[2] = ratio(q1, q3)<<4 | ratio(q2, q3)
	for i := range out[3:] {
		var code byte
		for j := range 4 {
			code |= quartile(h.counts[4*i+j], q1, q2, q3) << (2 * j)
		}
		out[Size-1-i] = code
	}
	return out, nil
}

func (h *Hasher) check() error {
	switch {
	case h.n < MinShortLen || h.n < MinLen && !h.AllowShort:
		return ErrTooShort
	case h.n > MaxLen:
		return ErrTooLong
	}
	filled := 0
	for _, c := range h.counts[:buckets] {
		if c > 0 {
			filled++
		}
	}
	// More than half of the buckets filled also means that q3 is not zero.
	if filled <= buckets/2 {
		return ErrTooUniform
	}
	return nil
}

// quartiles returns the counts below which a quarter, a half and three
// quarters of the buckets lie.
func (h *Hasher) quartiles() (q1, q2, q3 uint32) {
	sorted := h.counts
	s := sorted[:buckets]
	slices.Sort(s)
	return s[buckets/4-1], s[buckets/2-1], s[buckets*3/4-1]
}

func quartile(count, q1, q2, q3 uint32) byte {
	switch {
	case count > q3:
		return 3
	case count > q2:
		return 2
	case count > q1:
		return 1
	}
	return 0
}

// ratio is a quartile in per cent of the third, modulo 16. The published
// implementation multiplies in 32 bits and divides in single precision; both
// are exact rules (IEEE 754 division is correctly rounded), and both show in
// the values of texts of some megabytes.
func ratio(q, q3 uint32) byte {
	return byte(uint32(float32(q*100)/float32(q3)) % 16)
}

func lengthClass(n uint64) byte {
	i, _ := slices.BinarySearch(lengthBounds[:], uint32(n))
	return byte(i)
}

func swap(b byte) byte { return b<<4 | b>>4 }
