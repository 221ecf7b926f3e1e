// SPDX-License-Identifier: Apache-2.0

package nearby

import "sync/atomic"

// A unit holds up to 32 postings of one bucket: 32 lanes of 16 bits (one
// cache line, what a search scans) and beside them 32 row numbers of 24 bits
// (what it reads for the few lanes that pass).
const (
	unitLanes = 32
	laneWords = unitLanes * 2 / 8
	idWords   = unitLanes * 3 / 8

	noRow   = 0xffffff // no posting in this lane
	maxRows = 0xfe0000 // row numbers stay below, see rowNumberOK
)

// Eight row numbers share three words: the lower 16 bits of four each in the
// first two, the upper 8 bits of all in the third. Both parts of noRow are all
// ones and no row number has either part all ones, so that a reader who sees
// one part old and one part new of a number that comes or goes sees no row.
func rowNumberOK(id uint32) bool { return id&0xffff != 0xffff && id < maxRows }

type units struct {
	lanes []uint64
	ids   []uint64
}

// id returns the row number at position pos = unit·32 + lane, or a number for
// which rowNumberOK is false when there is none.
func (u *units) id(pos uint32) uint32 {
	g := pos >> 3 * 3
	lo := atomic.LoadUint64(&u.ids[g+pos>>2&1]) >> (pos & 3 * 16)
	hi := atomic.LoadUint64(&u.ids[g+2]) >> (pos & 7 * 8)
	return uint32(lo&0xffff | hi&0xff<<16)
}

func (u *units) setID(pos, id uint32) {
	g := pos >> 3 * 3
	put(&u.ids[g+pos>>2&1], pos&3*16, 0xffff, uint64(id&0xffff))
	put(&u.ids[g+2], pos&7*8, 0xff, uint64(id>>16))
}

func (u *units) lane(pos uint32) uint16 {
	return uint16(u.lanes[pos>>2] >> (pos & 3 * 16))
}

// put changes some bits of a word that only this goroutine writes and others
// read.
func put(word *uint64, shift uint32, mask, bits uint64) {
	atomic.StoreUint64(word, *word&^(mask<<shift)|bits<<shift)
}

// In a block that no header names yet nobody reads, so its words are written as
// they are: storing them one by one for others to see costs ten times as much,
// and a block that grows has hundreds. Publishing the header shows them all.

// clear empties n units from unit on. Their lanes keep whatever they held: a
// lane without a row is never a match.
func (u *units) clear(unit, n uint32) {
	ids := u.ids[unit*idWords : (unit+n)*idWords]
	for i := range ids {
		ids[i] = ^uint64(0)
	}
}
