// SPDX-License-Identifier: Apache-2.0

package exact

import (
	"runtime"
	"unsafe"

	"github.com/tocsin-db/tocsin/storage/nearby/fetch"
)

// groupSize is how many keys of a batch are on their way from memory at once:
// about what a processor can have outstanding, and a little more.
const groupSize = 32

// HasBatch writes 1 to out[i] if keys[i] is listed and 0 if not. It panics
// when out is shorter than keys. The keys of a batch wait for memory together,
// not one after the other.
func (t *Table) HasBatch(keys [][32]byte, out []byte) {
	out = out[:len(keys)]
	t.inGroups(keys, func(from int, fs []fingerprint) { t.hasGroup(fs, out[from:from+len(fs)]) })
	runtime.KeepAlive(t)
}

// hasGroup looks into the buckets that were asked for, and asks for those that they
// spilled into before it looks into the first of these.
func (t *Table) hasGroup(fs []fingerprint, out []byte) {
	var later [groupSize]uint8
	n := 0
	size := t.size.Load()
	for i := range fs {
		b := t.buckets.bucket(place(fs[i].lo, size))
		found, further := b.look(fs[i])
		out[i] = byte(bit(found))
		if further && !found {
			fetch.Line(unsafe.Pointer(t.spill.bucket(b.link())))
			later[n] = uint8(i)
			n++
		}
	}
	if t.size.Load() != size { // some may have moved meanwhile
		n = copy(later[:], everyPlace[:len(fs)])
	}
	for _, i := range later[:n] {
		out[i] = byte(bit(t.has(fs[i])))
	}
}

var everyPlace = func() (all [groupSize]uint8) {
	for i := range all {
		all[i] = uint8(i)
	}
	return all
}()

func bit(b bool) (n int) {
	if b {
		n = 1
	}
	return n
}

// HasRows is HasBatch for keys that lie one after the other, as they arrive
// on a socket. It panics when rows is not len(out) times 32 bytes.
func (t *Table) HasRows(rows, out []byte) {
	if len(rows) != 32*len(out) {
		panic("exact: as many rows of 32 bytes as answers are needed")
	}
	if len(out) > 0 {
		t.HasBatch(unsafe.Slice((*[32]byte)(unsafe.Pointer(&rows[0])), len(out)), out)
	}
}

// inGroups calls yield with the fingerprints of group after group, whose
// buckets were asked for a group earlier.
func (t *Table) inGroups(keys [][32]byte, yield func(from int, fs []fingerprint)) {
	var groups [2][groupSize]fingerprint
	ask := func(g, from int) []fingerprint {
		fs := groups[g][:min(groupSize, len(keys)-from)]
		size := t.size.Load()
		for i := range fs {
			fs[i] = t.secret.fingerprint(&keys[from+i])
			fetch.Line(unsafe.Pointer(t.buckets.bucket(place(fs[i].lo, size))))
		}
		return fs
	}
	if len(keys) == 0 {
		return
	}
	fs := ask(0, 0)
	for from, g := 0, 1; from < len(keys); from, g = from+groupSize, 1-g {
		var next []fingerprint
		if from+groupSize < len(keys) {
			next = ask(g, from+groupSize)
		}
		yield(from, fs)
		fs = next
	}
}
