// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package nearby

import "unsafe"

// Where the lowest bits of a word come first in memory, a part of it is written
// without reading the rest.

func (u *units) setLanePlain(pos uint32, lane uint16) {
	*part[uint16](u.lanes, pos>>2, pos&3) = lane
}

func (u *units) setIDPlain(pos, id uint32) {
	g := pos >> 3 * 3
	*part[uint16](u.ids, g+pos>>2&1, pos&3) = uint16(id)
	*part[uint8](u.ids, g+2, pos&7) = uint8(id >> 16)
}

// part is part n of a word, from the lowest bits on.
func part[T uint8 | uint16](words []uint64, word, n uint32) *T {
	var t T
	return (*T)(unsafe.Add(unsafe.Pointer(&words[word]), uintptr(n)*unsafe.Sizeof(t)))
}
