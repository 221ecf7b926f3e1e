// SPDX-License-Identifier: Apache-2.0

//go:build !amd64 || race

package nearby

import "sync/atomic"

// storePosting writes a posting at a position that no reader takes for one
// yet: the lane first, then the two parts of the row number.
func (u *units) storePosting(pos uint32, lane uint16, id uint32) {
	put(&u.lanes[pos>>2], pos&3*16, 0xffff, uint64(lane))
	u.setID(pos, id)
}

func storeRow(words *[4]uint64, r *row) {
	for i, w := range r {
		atomic.StoreUint64(&words[i], w)
	}
}
