// SPDX-License-Identifier: Apache-2.0

package exact

import "sync/atomic"

// bucket is one cache line of four fingerprints, each two words. The lowest 8
// bits of a fingerprint are those of its bucket's number, so they need not be
// stored: in their place stand one bit that says the slot is used, and 7 bits
// of the bucket's link, the number of the bucket that takes what spilled.
type bucket [8]uint64

const (
	bucketBytes = 64
	slots       = 4

	used     = 0x01
	linkBits = 0xfe
	metaBits = 0xff
	maxLink  = 1 << 28
)

// look reports whether f is in the bucket, and the link to go on with or 0. Which slot
// it is in no processor can guess, and one that guesses wrong reads nothing ahead: so
// all slots are compared, without a branch. The first words are read first (see set).
func (b *bucket) look(f fingerprint) (found bool, link uint64) {
	want := f.lo&^metaBits | used
	w0, w1 := atomic.LoadUint64(&b[0]), atomic.LoadUint64(&b[2])
	w2, w3 := atomic.LoadUint64(&b[4]), atomic.LoadUint64(&b[6])
	here := zero((w0&^linkBits^want)|(atomic.LoadUint64(&b[1])^f.hi)) | zero((w1&^linkBits^want)|(atomic.LoadUint64(&b[3])^f.hi)) |
		zero((w2&^linkBits^want)|(atomic.LoadUint64(&b[5])^f.hi)) | zero((w3&^linkBits^want)|(atomic.LoadUint64(&b[7])^f.hi))
	return here != 0, w0&linkBits>>1 | w1&linkBits<<6 | w2&linkBits<<13 | w3&linkBits<<20
}

// zero has the highest bit set if x is 0, and else not.
func zero(x uint64) uint64 { return (x - 1) &^ x & (1 << 63) }

// slot returns the fingerprint in a slot, of which the lowest bits are those
// of at, and whether there is one.
func (b *bucket) slot(i int, at uint64) (f fingerprint, ok bool) {
	return fingerprint{b[2*i]&^metaBits | at&metaBits, b[2*i+1]}, b[2*i]&used != 0
}

// set fills a free slot: the word that readers look for first comes last.
func (b *bucket) set(i int, f fingerprint) {
	atomic.StoreUint64(&b[2*i+1], f.hi)
	atomic.StoreUint64(&b[2*i], f.lo&^metaBits|b[2*i]&linkBits|used)
}

func (b *bucket) unset(i int) { atomic.StoreUint64(&b[2*i], b[2*i]&linkBits) }

// setLink is called once in the life of a bucket. A reader that sees a part of
// the link goes to another bucket for a key that is not listed yet, and does
// not find it there.
func (b *bucket) setLink(link uint64) {
	for i := range slots {
		atomic.StoreUint64(&b[2*i], b[2*i]|link>>(7*i)&0x7f<<1)
	}
}
