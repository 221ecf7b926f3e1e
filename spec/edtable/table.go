// SPDX-License-Identifier: Apache-2.0

package edtable

import (
	"sync"

	"filippo.io/edwards25519"
)

// A scalar is taken as digits of width bits, each between −half and half.
const (
	width   = 7
	half    = 1 << (width - 1)
	windows = 253/width + 1 // a scalar has 253 bits; the last digit takes the carry
)

// A table holds the multiples 1 to half of [2^(width·i)]P, for each digit i.
type table [windows][half]edwards25519.Point

var base = sync.OnceValue(func() *table { return newTable(edwards25519.NewGeneratorPoint()) })

func newTable(p *edwards25519.Point) *table {
	t := new(table)
	unit := new(edwards25519.Point).Set(p)
	for i := range t {
		t[i][0].Set(unit)
		for j := 1; j < half; j++ {
			t[i][j].Add(&t[i][j-1], unit)
		}
		unit.Add(&t[i][half-1], &t[i][half-1])
	}
	return t
}

// add adds [s]P to sum. Its time depends on s.
func (t *table) add(sum *edwards25519.Point, s *edwards25519.Scalar) {
	for i, d := range digits(s.Bytes()) {
		switch {
		case d > 0:
			sum.Add(sum, &t[i][d-1])
		case d < 0:
			sum.Subtract(sum, &t[i][-d-1])
		}
	}
}

// digits of a scalar of 32 bytes, the least first: it is Σ digit·2^(width·i).
func digits(s []byte) (out [windows]int) {
	carry := 0
	for i := range out {
		d := bits(s, i*width) + carry
		if carry = 0; d > half {
			d, carry = d-2*half, 1
		}
		out[i] = d
	}
	return out
}

// bits are the width bits of a little-endian number from one on.
func bits(s []byte, from int) (d int) {
	at := from / 8
	d = int(s[at])
	if at+1 < len(s) {
		d |= int(s[at+1]) << 8
	}
	return d >> (from % 8) & (2*half - 1)
}
