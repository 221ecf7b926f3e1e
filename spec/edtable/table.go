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
type table [windows * half]addend

var base = sync.OnceValue(func() *table { return newTable(edwards25519.NewGeneratorPoint()) })

func newTable(p *edwards25519.Point) *table {
	var units [windows]point // [2^(width·i)]P
	unit := new(edwards25519.Point).Set(p)
	for i := range units {
		units[i].set(unit)
		for range width {
			unit.Add(unit, unit)
		}
	}
	var first [windows]addend
	addends(first[:], units[:])
	all := make([]point, windows*half)
	for i := range all {
		if i%half == 0 {
			all[i] = units[i/half]
			continue
		}
		all[i] = all[i-1]
		all[i].add(&first[i/half])
	}
	t := new(table)
	addends(t[:], all)
	return t
}

// add adds [s]P to sum. Its time depends on s.
func (t *table) add(sum *point, s *edwards25519.Scalar) {
	for i, d := range digits(s.Bytes()) {
		switch {
		case d > 0:
			sum.add(&t[i*half+d-1])
		case d < 0:
			sum.subtract(&t[i*half-d-1])
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
