// SPDX-License-Identifier: Apache-2.0

package nearby

import "math/bits"

// Four 16-bit lanes are worked on in one 64-bit word where there is nothing
// wider.
const (
	everyLane = 0x0001000100010001
	topBits   = 0x8000800080008000
)

// zeroLanes returns the top bit of every lane that is zero.
func zeroLanes(w uint64) uint64 { return ^(w&^topBits + ^uint64(topBits) | w) & topBits }

// laneOf returns the lowest lane that is set in a result of zeroLanes.
func laneOf(hits uint64) uint32 { return uint32(bits.TrailingZeros64(hits)) >> 4 }

// dropBits clears the lowest set bit of every lane: a lane with at most n bits
// is zero after n times.
func dropBits(w uint64) uint64 { return w & ((w | topBits) - everyLane) }
