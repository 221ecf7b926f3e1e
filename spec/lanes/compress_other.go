// SPDX-License-Identifier: Apache-2.0

//go:build !amd64

package lanes

const wide = false

func compress(*[8][16]uint32, *byte, *[16]uint32, int, *[64]uint32) {
	panic("lanes: no wide compression")
}
