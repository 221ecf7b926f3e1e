// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"encoding/binary"
	"math/bits"
)

const (
	bandCount = 16
	bandBits  = 16
)

// row is a hash with its bits rearranged into the bands that the index looks
// up: band b is the 16 bits from 16·(b mod 4) of word b/4. Rearranging keeps
// distances.
type row [4]uint64

func (r *row) band(b int) uint16 { return uint16(r[b>>2] >> (b & 3 * bandBits)) }

func (r *row) distance(q *row) int {
	return bits.OnesCount64(r[0]^q[0]) + bits.OnesCount64(r[1]^q[1]) +
		bits.OnesCount64(r[2]^q[2]) + bits.OnesCount64(r[3]^q[3])
}

// fromHash spreads the hash over the bands: row r of its 16×16 bits is rotated
// by r and the square is transposed, so that a band takes one bit of every row
// and every column. Neighbouring bits of a photo's hash are correlated; in one
// band they would crowd few buckets.
func fromHash(hash *[32]byte) (r row) {
	for i := range r {
		r[i] = rotateRows(binary.LittleEndian.Uint64(hash[8*i:]), i, 1)
	}
	transpose(&r)
	return r
}

// hash undoes fromHash.
func (r row) hash() (h [32]byte) {
	transpose(&r)
	for i := range r {
		binary.LittleEndian.PutUint64(h[8*i:], rotateRows(r[i], i, -1))
	}
	return h
}

// rotateRows rotates the four 16-bit rows of word i, which are rows 4i to 4i+3
// of the square, right by their row numbers, or left with direction -1: all by
// 4i, then the upper two by 2, then every second by 1.
func rotateRows(w uint64, i, direction int) uint64 {
	w = rotateLanes(w, direction*4*i)
	w = w&0x00000000ffffffff | rotateLanes(w, direction*2)&0xffffffff00000000
	return w&0x0000ffff0000ffff | rotateLanes(w, direction)&0xffff0000ffff0000
}

// rotateLanes rotates every 16-bit lane right by n.
func rotateLanes(w uint64, n int) uint64 {
	n &= 15
	low := uint64(0xffff) >> n * everyLane // what stays in its lane
	return w>>n&low | w<<(16-n)&^low
}

// transpose swaps bit c of row r with bit r of row c, for all of the 16×16
// bits, by swapping ever smaller squares (Hacker's Delight, 7-3).
func transpose(r *row) {
	swapSquares(&r[0], &r[2], 8, 0x00ff00ff00ff00ff)
	swapSquares(&r[1], &r[3], 8, 0x00ff00ff00ff00ff)
	swapSquares(&r[0], &r[1], 4, 0x0f0f0f0f0f0f0f0f)
	swapSquares(&r[2], &r[3], 4, 0x0f0f0f0f0f0f0f0f)
	for i := range r {
		t := (r[i]>>2 ^ r[i]>>32) & 0x0000000033333333
		r[i] ^= t<<2 ^ t<<32
		t = (r[i]>>1 ^ r[i]>>16) & 0x0000555500005555
		r[i] ^= t<<1 ^ t<<16
	}
}

func swapSquares(upper, lower *uint64, shift int, mask uint64) {
	t := (*upper>>shift ^ *lower) & mask
	*lower ^= t
	*upper ^= t << shift
}
