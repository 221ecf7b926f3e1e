// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/tocsin-db/tocsin/spec"
)

// Bounds of what is remembered of listed values, about 60 MB in all.
const (
	rememberedCells  = 1 << 18
	rememberedValue  = 64 // bytes; longer values are read every time
	rememberedMetas  = 8  // entries of one value
	rememberedPlaces = 1 << 16
)

// remembered keeps what was read of listed values, decoded: which entries list
// them. A value has one cell where it may stand and takes it over from another.
//
// A commit counts up the places of the keys it changes. What was read before does
// not hold after that: a cell holds the count as it was, and a reader that began
// before a commit remembers nothing after it. Neither waits for the other.
type remembered struct {
	seed    maphash.Seed
	cells   []atomic.Pointer[rememberedCell]
	commits atomic.Uint64
	changes []atomic.Uint32 // by the first two bytes of a key
}

type rememberedCell struct {
	typ, value string
	place      uint16
	change     uint32
	metas      []spec.LiveMeta
}

func newRemembered() *remembered {
	return &remembered{
		seed:  maphash.MakeSeed(),
		cells: make([]atomic.Pointer[rememberedCell], rememberedCells), changes: make([]atomic.Uint32, rememberedPlaces),
	}
}

func placeOf(k *spec.Hash) uint16 { return uint16(k[0])<<8 | uint16(k[1]) }

func (m *remembered) cell(value []byte) *atomic.Pointer[rememberedCell] {
	return &m.cells[maphash.Bytes(m.seed, value)%rememberedCells]
}

// get returns what is remembered of a value. It is shared: it must not be changed.
func (m *remembered) get(typ string, value []byte) ([]spec.LiveMeta, bool) {
	c := m.cell(value).Load()
	if c == nil || c.value != string(value) || c.typ != typ || m.changes[c.place].Load() != c.change {
		return nil, false
	}
	return c.metas, true
}

// put remembers what was read of the value with key k by a reader that began after
// so many commits.
func (m *remembered) put(typ string, value []byte, k *spec.Hash, metas []spec.LiveMeta, commits uint64) {
	if len(value) > rememberedValue || len(metas) > rememberedMetas {
		return
	}
	c := &rememberedCell{typ: typ, value: string(value), place: placeOf(k), metas: metas}
	c.change = m.changes[c.place].Load()
	if m.commits.Load() == commits { // else a commit may have been counted in already that was not read
		m.cell(value).Store(c)
	}
}

// changed forgets the values whose keys a commit changed. It is called once the
// commit can be read and before it is said to be done.
func (m *remembered) changed(touched map[spec.Hash]struct{}, removed []*liveSignal) {
	m.commits.Add(1)
	for k := range touched {
		m.changes[placeOf(&k)].Add(1)
	}
	for _, l := range removed {
		m.changes[placeOf(&l.k)].Add(1)
	}
}
