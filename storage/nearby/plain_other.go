// SPDX-License-Identifier: Apache-2.0

//go:build !amd64 && !arm64

package nearby

func (u *units) setLanePlain(pos uint32, lane uint16) {
	change(&u.lanes[pos>>2], pos&3*16, 0xffff, uint64(lane))
}

func (u *units) setIDPlain(pos, id uint32) {
	g := pos >> 3 * 3
	change(&u.ids[g+pos>>2&1], pos&3*16, 0xffff, uint64(id&0xffff))
	change(&u.ids[g+2], pos&7*8, 0xff, uint64(id>>16))
}

func change(word *uint64, shift uint32, mask, bits uint64) {
	*word = *word&^(mask<<shift) | bits<<shift
}
