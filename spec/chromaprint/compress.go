// SPDX-License-Identifier: Apache-2.0

package chromaprint

import (
	"bytes"
	"encoding/base64"
	"math/bits"
	"strconv"
	"strings"

	"github.com/tocsin-db/tocsin/spec"
)

// MaxText bounds the canonical text in bytes: no item takes more than 13 bytes.
const MaxText = (headerSize + 13*MaxItems) * 4 / 3

// The compressed form: algorithm, number of items in three bytes, and for each
// item the places of the bits in which it differs from the one before, as
// distances from bit to bit. They are written in 3 bits each, 0 ending an item;
// what exceeds 7 follows in 5 bits each, after all the others.
const (
	headerSize = 4
	smallBits  = 3
	largeBits  = 5
	small      = 1<<smallBits - 1
)

// Bytes returns the compressed form.
func (f Fingerprint) Bytes() []byte {
	n := len(f.Items)
	var near, far packer
	var before uint32
	for _, v := range f.Items {
		at := 0
		for d := v ^ before; d != 0; d &= d - 1 {
			gap := bits.TrailingZeros32(d) + 1 - at
			at += gap
			near.put(min(gap, small), smallBits)
			if gap >= small {
				far.put(gap-small, largeBits)
			}
		}
		near.put(0, smallBits)
		before = v
	}
	out := []byte{f.Algorithm, byte(n >> 16), byte(n >> 8), byte(n)}
	return append(append(out, near.flush()...), far.flush()...)
}

// FromBytes reads the compressed form. It refuses with spec.CodeSignal what
// Bytes would not write, and with spec.CodeTooLarge more than MaxItems.
func FromBytes(p []byte) (Fingerprint, error) {
	if len(p) < headerSize {
		return Fingerprint{}, errMalformed()
	}
	f := Fingerprint{Algorithm: p[0]}
	n := int(p[1])<<16 | int(p[2])<<8 | int(p[3])
	switch {
	case n > MaxItems:
		return Fingerprint{}, spec.Errorf(spec.CodeTooLarge, "a fingerprint has at most %d items", MaxItems)
	case n*smallBits > 8*(len(p)-headerSize):
		return Fingerprint{}, errMalformed()
	}
	var ok bool
	if f.Items, ok = decode(p[headerSize:], n); !ok || !bytes.Equal(f.Bytes(), p) {
		return Fingerprint{}, errMalformed()
	}
	return f, nil
}

func decode(p []byte, n int) ([]uint32, bool) {
	gaps, rest, ok := readGaps(p, n)
	if !ok {
		return nil, false
	}
	far := unpacker{p: rest}
	items := make([]uint32, 0, n)
	var item uint32
	at := 0
	for _, gap := range gaps {
		if gap == 0 {
			items, at = append(items, item), 0
			continue
		}
		if gap == small {
			more, ok := far.take(largeBits)
			if !ok {
				return nil, false
			}
			gap += more
		}
		if at += gap; at > 32 {
			return nil, false
		}
		item ^= 1 << (at - 1)
	}
	return items, true
}

// readGaps reads the 3-bit numbers up to the n-th zero and returns what follows
// the byte with the last of them.
func readGaps(p []byte, n int) (gaps []int, rest []byte, ok bool) {
	near := unpacker{p: p}
	for zeros := 0; zeros < n; {
		gap, ok := near.take(smallBits)
		if !ok {
			return nil, nil, false
		}
		if gap == 0 {
			zeros++
		}
		gaps = append(gaps, gap)
	}
	return gaps, near.p, true
}

// A packer writes numbers of few bits, the lowest bits first.
type packer struct {
	out  []byte
	hold uint
	n    int
}

func (w *packer) put(v, size int) {
	w.hold |= uint(v) << w.n
	for w.n += size; w.n >= 8; w.n -= 8 {
		w.out = append(w.out, byte(w.hold))
		w.hold >>= 8
	}
}

func (w *packer) flush() []byte {
	if w.n > 0 {
		w.out = append(w.out, byte(w.hold))
	}
	return w.out
}

// An unpacker reads what a packer wrote. p is what it has not begun.
type unpacker struct {
	p    []byte
	hold uint
	n    int
}

func (r *unpacker) take(size int) (int, bool) {
	if r.n < size {
		if len(r.p) == 0 {
			return 0, false
		}
		r.hold |= uint(r.p[0]) << r.n
		r.p, r.n = r.p[1:], r.n+8
	}
	v := int(r.hold & (1<<size - 1))
	r.hold >>= size
	r.n -= size
	return v, true
}

// String returns the canonical text: the compressed form in unpadded base64url,
// as fpcalc prints it.
func (f Fingerprint) String() string { return base64.RawURLEncoding.EncodeToString(f.Bytes()) }

// Parse reads the canonical text of a fingerprint of any algorithm. Errors are
// those of FromBytes and never repeat the text.
func Parse(s string) (Fingerprint, error) {
	if len(s) > MaxText {
		return Fingerprint{}, spec.Errorf(spec.CodeTooLarge, "a fingerprint has at most %d characters", MaxText)
	}
	p, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return Fingerprint{}, errMalformed()
	}
	return FromBytes(p)
}

// Check refuses what is not the canonical text of a fingerprint that may be
// listed: see Parse and Fingerprint.Check.
func Check(s string) error {
	f, err := Parse(s)
	if err != nil {
		return err
	}
	return f.Check()
}

// ParseRaw reads the items as fpcalc -raw prints them: decimal numbers,
// separated by commas; signed ones (-signed) as well.
func ParseRaw(s string) (Fingerprint, error) {
	if len(s) > 12*MaxItems {
		return Fingerprint{}, spec.Errorf(spec.CodeTooLarge, "a fingerprint has at most %d items", MaxItems)
	}
	f := Fingerprint{Algorithm: Algorithm}
	for part := range strings.SplitSeq(s, ",") {
		v, err := strconv.ParseInt(strings.TrimSpace(part), 10, 64)
		if err != nil || v < -1<<31 || v >= 1<<32 {
			return Fingerprint{}, spec.Errorf(spec.CodeSignal, "a raw fingerprint is a list of 32-bit numbers")
		}
		f.Items = append(f.Items, uint32(v))
	}
	return f, f.Check()
}

func errMalformed() error {
	return spec.Errorf(spec.CodeSignal, "this is not a fingerprint as fpcalc prints it")
}
