// SPDX-License-Identifier: Apache-2.0

package entries

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/tocsin-db/tocsin/spec"
)

// A row is one listing in one cache line: the key, the entry, since when, and what
// else is said with the number of the next row under the same head, 0 for none.
type row [8]uint64

const (
	rowEntry = 2
	rowSince = 6
	rowLink  = 7 // said << 32 | next
)

func (r *row) entry() (e spec.Hash) {
	for i := range 4 {
		binary.LittleEndian.PutUint64(e[8*i:], atomic.LoadUint64(&r[rowEntry+i]))
	}
	return e
}

// set fills a row that no reader was sent to.
func (r *row) set(key Key, entry *spec.Hash, since uint64, said, next uint32) {
	atomic.StoreUint64(&r[0], key.lo)
	atomic.StoreUint64(&r[1], key.hi)
	for i := range 4 {
		atomic.StoreUint64(&r[rowEntry+i], binary.LittleEndian.Uint64(entry[8*i:]))
	}
	atomic.StoreUint64(&r[rowSince], since)
	r.link(said, next)
}

// fill is set for a row of a table that nobody reads: stores that others need not see
// take a tenth of the time.
func (r *row) fill(key Key, entry *spec.Hash, since uint64, said uint32) {
	r[0], r[1] = key.lo, key.hi
	for i := range 4 {
		r[rowEntry+i] = binary.LittleEndian.Uint64(entry[8*i:])
	}
	r[rowSince], r[rowLink] = since, uint64(said)<<32
}

func (r *row) link(said, next uint32) { atomic.StoreUint64(&r[rowLink], uint64(said)<<32|uint64(next)) }
func (r *row) said() uint32           { return uint32(r[rowLink] >> 32) }
func (r *row) next() uint32           { return uint32(r[rowLink]) }
func (r *row) is(key Key) bool        { return r[0] == key.lo && r[1] == key.hi }
