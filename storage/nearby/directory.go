// SPDX-License-Identifier: Apache-2.0

package nearby

import "sync/atomic"

// directory finds the block of a bucket by the leading bits of its value. It
// has as many bits as the number of hashes asks for, so that a small index
// has few and well-filled blocks, and never shrinks. A block whose values
// share fewer bits than that stands in several places.
//
// A load may give every bucket of a band a home: one unit at a place that
// follows from the bucket's number. As long as its block is that unit, a
// search need not look at the header, which saves it every third cache line
// while an index is so small that most blocks are one unit. One bit for each
// bucket, few enough to stay in the cache, says where that does not hold.
type directory struct {
	bits    uint
	headers []uint32          // of bucket v of band b at b<<bits | v>>(16-bits)
	depth   []uint8           // how many leading bits the values in its block share
	homes   [bandCount]uint32 // home of the first bucket of each band, or 0
	away    []uint64          // one bit per bucket: its block is not just its home; see awayOf
	beside  []uint64          // the same for it and all those one bit away: one of them is
}

const (
	fewestBits = 4
	// rowsPerBucket is how many hashes a bucket has on average before the
	// directory doubles: three quarters of a unit.
	rowsPerBucket = 24
)

// directoryWords is the memory of all directories that a segment can have,
// one after the other: twice that of the largest.
const directoryWords = 2 * bandCount << bandBits

func (s *segment) newDirectory(bits uint) *directory {
	from, n := bandCount<<bits, bandCount<<bits // those with fewer bits come before
	return &directory{bits: bits, headers: s.headerSpace[from:][:n:n], depth: s.depthSpace[from:][:n:n]}
}

// awayWords is how many words of away a band has: its own, however few buckets
// there are, since the bands of a load are laid out side by side.
func awayWords(bits uint) int { return max(1, 1<<bits>>6) }

// awayOf returns the bits of a band's buckets.
func (d *directory) awayOf(b int) []uint64 {
	n := awayWords(d.bits)
	return d.away[b*n:][:n]
}

func (d *directory) besideOf(b int) []uint64 {
	n := awayWords(d.bits)
	return d.beside[b*n:][:n]
}

// atHome returns the unit that is the whole block of the bucket at a place of
// the directory, or false where the header has to be looked at.
func (d *directory) atHome(b, at int) (unit uint32, ok bool) {
	if d.homes[b] == 0 {
		return 0, false
	}
	at -= b << d.bits
	if atomic.LoadUint64(&d.awayOf(b)[at>>6])>>(at&63)&1 != 0 {
		return 0, false
	}
	return d.homes[b] + uint32(at), true
}

func (d *directory) at(b int, v uint16) int { return b<<d.bits | int(v)>>(bandBits-d.bits) }

func (d *directory) header(b int, v uint16) header {
	return header(atomic.LoadUint32(&d.headers[d.at(b, v)]))
}

// point makes every bucket that shares the depth leading bits of v find its
// postings at h.
func (s *segment) point(d *directory, b int, v uint16, depth uint8, h header) {
	span := 1 << (d.bits - uint(depth))
	from := d.at(b, v) &^ (span - 1)
	for i := from; i < from+span; i++ {
		atomic.StoreUint32(&d.headers[i], uint32(h))
		d.depth[i] = depth
		d.leaveHome(b, i, h)
	}
	s.next.copy(d, from, min(from+span, s.next.copied))
}

// leaveHome notes that a bucket's block is not its home, when it is not. It
// never returns there.
func (d *directory) leaveHome(b, at int, h header) {
	if home, ok := d.atHome(b, at); ok && h != newHeader(home, 1) {
		at -= b << d.bits
		put(&d.awayOf(b)[at>>6], uint32(at&63), 1, 1)
		beside := d.besideOf(b)
		for k := range d.bits + 1 {
			i := at ^ 1<<k>>1
			put(&beside[i>>6], uint32(i&63), 1, 1)
		}
	}
}

// bitsFor returns how many bits the directory of so many hashes has.
func bitsFor(hashes int) uint {
	bits := uint(fewestBits)
	for bits < bandBits && hashes >= rowsPerBucket<<bits {
		bits++
	}
	return bits
}

// doubling is the next directory while it is being filled, a piece with every
// Add: at once it would keep one Add for milliseconds. No reader knows it.
type doubling struct {
	directory *directory
	copied    int // headers of the old directory that are in it
}

// doublingStep is how many headers one Add copies. The last doubling has
// 524,288 of them and is done after 2,048 Adds.
const doublingStep = 256

// copy takes over the old directory's headers from from to to.
func (n *doubling) copy(old *directory, from, to int) {
	for i := from; i < to; i++ {
		h, depth := old.headers[i], old.depth[i]
		n.directory.headers[2*i], n.directory.headers[2*i+1] = h, h
		n.directory.depth[2*i], n.directory.depth[2*i+1] = depth, depth
	}
}

// enlarge goes on doubling the directory when the segment has outgrown it.
// Searches that hold the old one go on with it: its blocks stay until they
// leave.
func (s *segment) enlarge() {
	old := s.directory.Load()
	if old.bits >= bitsFor(s.listed) && s.next.directory == nil {
		return
	}
	if s.next.directory == nil {
		s.next.directory = s.newDirectory(old.bits + 1)
	}
	to := min(s.next.copied+doublingStep, len(old.headers))
	s.next.copy(old, s.next.copied, to)
	s.next.copied = to
	if to == len(old.headers) {
		s.directory.Store(s.next.directory)
		s.next = doubling{}
	}
}
