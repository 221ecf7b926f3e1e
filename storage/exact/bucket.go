// SPDX-License-Identifier: Apache-2.0

package exact

import "sync/atomic"

// bucket is one cache line of four fingerprints, each two words. The lowest 12 bits of
// a fingerprint are those of its bucket's number, so they need not be stored. In their
// place stand one bit that says the slot is used, 7 bits of the bucket's link, which is
// the number of the bucket that takes what spilled, and 4 bits of its sieve: 16 bits
// that say which fingerprints may stand behind the link. So hardly a key that is not
// listed costs a second line.
type bucket [8]uint64

const (
	bucketBytes = 64
	slots       = 4

	used       = 0x001
	linkBits   = 0x0fe
	sieveBits  = 0xf00
	metaBits   = 0xfff
	keptBits   = linkBits | sieveBits // of a slot that is not used
	sieveShift = 8
	maxLink    = 1 << 28
)

// look reports whether f is in the bucket, and whether it may be behind its link. Which slot
// it is in no processor can guess, and one that guesses wrong reads nothing ahead: so
// all slots are compared, without a branch. The first words are read first (see set).
func (b *bucket) look(f fingerprint) (found, further bool) {
	want := f.lo&^metaBits | used
	w0, w1 := atomic.LoadUint64(&b[0])&^keptBits^want, atomic.LoadUint64(&b[2])&^keptBits^want
	w2, w3 := atomic.LoadUint64(&b[4])&^keptBits^want, atomic.LoadUint64(&b[6])&^keptBits^want
	here := zero(w0|(atomic.LoadUint64(&b[1])^f.hi)) | zero(w1|(atomic.LoadUint64(&b[3])^f.hi)) |
		zero(w2|(atomic.LoadUint64(&b[5])^f.hi)) | zero(w3|(atomic.LoadUint64(&b[7])^f.hi))
	return here != 0, b.passes(f)
}

// zero has the highest bit set if x is 0, and else not.
func zero(x uint64) uint64 { return (x - 1) &^ x & (1 << 63) }

// passes reports whether f may be behind the link.
func (b *bucket) passes(f fingerprint) bool {
	return atomic.LoadUint64(&b[f.hi&3*2])>>(sieveShift+f.hi>>2&3)&1 != 0
}

// link returns the number of the bucket that takes what spilled, or 0.
func (b *bucket) link() (link uint64) {
	for i := range slots {
		link |= atomic.LoadUint64(&b[2*i]) & linkBits >> 1 << (7 * i)
	}
	return link
}

// slot returns the fingerprint in a slot, of which the lowest bits are those
// of at, and whether there is one.
func (b *bucket) slot(i int, at uint64) (f fingerprint, ok bool) {
	return fingerprint{b[2*i]&^metaBits | at&metaBits, b[2*i+1]}, b[2*i]&used != 0
}

// set fills a free slot: the word that readers look for first comes last.
func (b *bucket) set(i int, f fingerprint) {
	atomic.StoreUint64(&b[2*i+1], f.hi)
	atomic.StoreUint64(&b[2*i], f.lo&^metaBits|b[2*i]&keptBits|used)
}

func (b *bucket) unset(i int) { atomic.StoreUint64(&b[2*i], b[2*i]&keptBits) }

// setLink is called once in the life of a bucket. A reader that sees a part of
// the link goes to another bucket for a key that is not listed yet, and does
// not find it there.
func (b *bucket) setLink(link uint64) {
	for i := range slots {
		atomic.StoreUint64(&b[2*i], b[2*i]|link>>(7*i)&0x7f<<1)
	}
}

// A sieve has a bit for each of 16 sorts of fingerprints, four bits to a slot.
type sieve uint16

func (f fingerprint) sieve() sieve { return 1 << (f.hi&3*4 + f.hi>>2&3) }

// setSieve says what may be behind the link: at least the fingerprints that are there.
func (b *bucket) setSieve(s sieve) {
	for i := range slots {
		w := b[2*i]&^sieveBits | uint64(s)>>(4*i)&0xf<<sieveShift
		if w != b[2*i] {
			atomic.StoreUint64(&b[2*i], w)
		}
	}
}
