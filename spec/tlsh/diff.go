// SPDX-License-Identifier: Apache-2.0

package tlsh

import (
	"encoding/binary"
	"math/bits"
)

// MaxDiffXLen is the largest DiffXLen that two hashes can have.
const MaxDiffXLen = 1 + 2*(7*12) + 128*6

// Diff is the distance of two hashes with the difference of the lengths of
// their texts. 0 means the same hash, not the same text.
func (h Hash) Diff(o Hash) int {
	d := ringDistance(int(swap(h[1])), int(swap(o[1])), 256)
	if d > 1 {
		d *= 12
	}
	return d + h.DiffXLen(o)
}

// DiffXLen is the distance of two hashes without regard to the lengths. It is
// symmetric; it is not a metric, since the triangle inequality may fail.
func (h Hash) DiffXLen(o Hash) int { return DiffXLen(&h, &o) }

// DiffXLen is Hash.DiffXLen for scans over many hashes: nothing is copied.
func DiffXLen(a, b *Hash) int {
	d := ratioDistance(a[2]>>4, b[2]>>4) + ratioDistance(a[2]&15, b[2]&15)
	if a[0] != b[0] {
		d++
	}
	return d + bodyDistance((*[32]byte)(a[3:]), (*[32]byte)(b[3:]))
}

// Match reports whether two hashes lie within Threshold, lengths aside.
func (h Hash) Match(o Hash) bool { return h.DiffXLen(o) <= Threshold }

// bodyDistance adds up, over the 128 buckets, how far apart the two quartiles
// are, the farthest distance (3) counted as 6. It works on 32 buckets at a
// time, on the bits hi and lo in which two quartiles differ:
//
//	only lo: 1    only hi: 2    both: 1 where 01 meets 10, else 6.
func bodyDistance(a, b *[32]byte) int {
	d0, far0 := compare32(a[0:], b[0:])
	d1, far1 := compare32(a[8:], b[8:])
	d2, far2 := compare32(a[16:], b[16:])
	d3, far3 := compare32(a[24:], b[24:])
	far := bits.OnesCount64(far0|far1<<1) + bits.OnesCount64(far2|far3<<1)
	return d0 + d1 + d2 + d3 + 4*far
}

// compare32 counts distances of 1 and 2 and marks the farthest ones, which it
// counts as 2, in the even bits of far.
func compare32(a, b []byte) (d int, far uint64) {
	const even = 0x5555555555555555
	x, y := binary.LittleEndian.Uint64(a), binary.LittleEndian.Uint64(b)
	hi, lo := (x^y)>>1&even, (x^y)&even
	crossed := hi & lo & (x>>1 ^ x) // 01 meets 10
	far = hi & lo &^ crossed
	return bits.OnesCount64(hi | lo | (hi&^crossed)<<1), far
}

func ratioDistance(a, b byte) int {
	d := ringDistance(int(a), int(b), 16)
	if d > 1 {
		return (d - 1) * 12
	}
	return d
}

// ringDistance is the shorter way between two of n numbers on a ring.
func ringDistance(a, b, n int) int {
	d := a - b
	if d < 0 {
		d = -d
	}
	return min(d, n-d)
}
