// SPDX-License-Identifier: Apache-2.0

// Package entries says from memory which entries list a value and what is said of
// them, so that a match reads no disk. Pebble keeps what is durable; who owns it
// keeps this table in step.
package entries

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage/nearby/fetch"
	"github.com/tocsin-db/tocsin/storage/nearby/pages"
)

// Said is what many entries have in common.
type Said struct {
	State, Sunset uint64
	Labels        []string // shared: not to be changed
}

// A Listing is that an entry lists a value. Said is an encoding of what the entry
// says of itself, beside since when.
type Listing struct {
	Entry spec.Hash
	Since uint64
	Said  []byte
}

// Table is a set of listings under keys. Any number of goroutines ask while one
// writes; asking takes no lock.
type Table struct {
	secrets map[string]Key // of each type
	secret  secret
	decode  func(said []byte) (Said, error)

	size  atomic.Uint64 // heads in use: 2^level + the next to split
	heads *pages.Growing[uint32]
	rows  *pages.Growing[row]
	seqs  [stripes]atomic.Uint64 // odd while something changes; by the lowest bits of keys
	said  dictionary

	writing sync.Mutex
	taken   uint64 // rows that were ever used
	free    []uint32
	count   uint64 // rows in use
}

// stripes is no more than the least number of heads, so that a head and the one that
// splits off it belong to one.
const stripes = 256

// New makes a table with room for about so many listings; it grows one head at a
// time, whatever the hint was. decode reads what a Listing says. It panics when not
// even the first page of memory can be had.
func New(hint int, decode func(said []byte) (Said, error)) *Table {
	size := max(firstHeads, uint64(max(0, hint))*headNum/headDen)
	heads, err := pages.NewGrowing[uint32](size)
	if err != nil {
		panic(fmt.Errorf("entries: %w", err))
	}
	rows, err := pages.NewGrowing[row](uint64(max(1, hint)))
	if err != nil {
		panic(fmt.Errorf("entries: %w", err))
	}
	t := &Table{heads: heads, rows: rows, decode: decode}
	t.newSecrets()
	t.size.Store(size)
	t.said.init()
	return t
}

// Len returns the number of listings, of a crowded key one.
func (t *Table) Len() int {
	t.writing.Lock()
	defer t.writing.Unlock()
	return int(t.count)
}

// tries bounds how often a reader looks again because something changed meanwhile.
const tries = 16

// Of appends the entries that list a key. known is false where the table does not
// say: more than MaxListed list it, or it kept changing meanwhile. Then the list is
// as it was.
func (t *Table) Of(key Key, list []spec.LiveMeta) (all []spec.LiveMeta, known bool) {
	seq := &t.seqs[key.lo%stripes]
	for range tries {
		before := seq.Load()
		if before%2 != 0 {
			continue
		}
		all, known := t.collect(key, list)
		if seq.Load() == before {
			return all, known
		}
	}
	return list, false
}

// maxSteps is more rows than any head has: whoever takes more goes round in rows
// that are used for something else by now.
const maxSteps = 1 << 14

func (t *Table) collect(key Key, list []spec.LiveMeta) (all []spec.LiveMeta, known bool) {
	all = list
	next := atomic.LoadUint32(t.head(key.lo))
	for steps := 0; next != 0; steps++ {
		r := t.row(next)
		link := atomic.LoadUint64(&r[rowLink])
		next = uint32(link)
		if atomic.LoadUint64(&r[0]) != key.lo || atomic.LoadUint64(&r[1]) != key.hi {
			if steps == maxSteps {
				return list, false
			}
			continue
		}
		said := t.said.at(uint32(link >> 32))
		if said == nil || len(all)-len(list) == MaxListed {
			return list, false
		}
		all = append(all, spec.LiveMeta{Entry: r.entry(), State: said.State, Since: atomic.LoadUint64(&r[rowSince]), Sunset: said.Sunset, Labels: said.Labels})
	}
	return all, true
}

func (t *Table) head(lo uint64) *uint32 { return t.heads.At(place(lo, t.size.Load())) }
func (t *Table) row(number uint32) *row { return t.rows.At(uint64(number - 1)) }

// Ahead asks for the memory that Of reads first, and AheadRow for what it reads
// next.
func (t *Table) Ahead(key Key) { fetch.Line(unsafe.Pointer(t.head(key.lo))) }

// AheadRow waits for what Ahead asked for.
func (t *Table) AheadRow(key Key) {
	if n := atomic.LoadUint32(t.head(key.lo)); n != 0 {
		fetch.Line(unsafe.Pointer(t.row(n)))
	}
}
