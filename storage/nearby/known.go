// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"hash/maphash"
	"unsafe"

	"github.com/tocsin-db/tocsin/storage/nearby/fetch"
)

// knownRows finds the row of a hash while a load goes on and there are no
// buckets yet: open addressing, in a slot the row number and 8 bits of the
// hash so that few rows are looked at in vain.
type knownRows struct {
	slots []uint32 // tag<<24 | row number, or freeSlot
	n     int
	seed  maphash.Seed
	seg   *segment
}

const freeSlot = 0xffffffff

func newKnownRows(s *segment, seed maphash.Seed, hint int) knownRows {
	size := 1 << 11
	for size*2 < hint*3 {
		size *= 2
	}
	k := knownRows{slots: make([]uint32, size), seed: seed, seg: s}
	for i := range k.slots {
		k.slots[i] = freeSlot
	}
	return k
}

func (k *knownRows) prefetch(hash uint64) {
	fetch.Line(unsafe.Pointer(&k.slots[int(hash)&(len(k.slots)-1)]))
}

func tagOf(hash uint64) uint32 { return uint32(hash>>56) << 24 }

// find returns the row number of p.
func (k *knownRows) find(p *pair) (id uint32, ok bool) {
	mask := len(k.slots) - 1
	for i := int(p.hash) & mask; k.slots[i] != freeSlot; i = (i + 1) & mask {
		if id = k.slots[i] & noRow; k.slots[i]&^noRow == tagOf(p.hash) && k.seg.loadRow(id) == p.row {
			return id, true
		}
	}
	return 0, false
}

func (k *knownRows) add(hash uint64, id uint32) {
	if k.n++; k.n*4 > len(k.slots)*3 {
		k.enlarge()
	}
	k.put(hash, id)
}

func (k *knownRows) put(hash uint64, id uint32) {
	mask := len(k.slots) - 1
	i := int(hash) & mask
	for k.slots[i] != freeSlot {
		i = (i + 1) & mask
	}
	k.slots[i] = tagOf(hash) | id
}

func (k *knownRows) enlarge() {
	old := k.slots
	n := k.n
	*k = newKnownRows(k.seg, k.seed, len(old)*4/3)
	k.n = n
	for _, slot := range old {
		if slot != freeSlot {
			id := slot & noRow
			k.put(maphash.Comparable(k.seed, k.seg.loadRow(id)), id)
		}
	}
}
