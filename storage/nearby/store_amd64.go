// SPDX-License-Identifier: Apache-2.0

//go:build !race

package nearby

import "unsafe"

// storePosting writes a posting at a position that no reader takes for one
// yet: the lane first, then the two parts of the row number. The stores are
// plain ones: on this architecture others see them whole and in this order, and
// a store of Go's atomics waits until everything before it has reached the
// cache, which would be most of the time of an Add.
func (u *units) storePosting(pos uint32, lane uint16, id uint32) {
	storePostingAsm(unsafe.SliceData(u.lanes), unsafe.SliceData(u.ids), pos, uint32(lane), id)
}

func storeRow(words *[4]uint64, r *row) { storeRowAsm(words, r) }

//go:noescape
func storePostingAsm(lanes, ids *uint64, pos, lane, id uint32)

//go:noescape
func storeRowAsm(words *[4]uint64, r *row)
