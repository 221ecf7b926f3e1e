// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// Index is a set of (hash, ref) pairs that answers which hashes lie near a
// query. Any number of goroutines may search while one adds and removes;
// what Add has returned from, the next Search finds.
type Index struct {
	settings
	mu   sync.RWMutex
	rows map[[32]byte][]uint64
	n    int
}

// New makes an empty Index.
func New(opts ...Option) *Index {
	x := &Index{rows: map[[32]byte][]uint64{}}
	for _, o := range opts {
		o(&x.settings)
	}
	return x
}

// Len returns how many (hash, ref) pairs the index holds.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.n
}

// Add makes hash findable with ref. A pair that is there already is left as
// it is; one hash may be added with many refs.
func (x *Index) Add(hash *[32]byte, ref uint64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.rows[*hash] {
		if r == ref {
			return nil
		}
	}
	x.rows[*hash] = append(x.rows[*hash], ref)
	x.n++
	return nil
}

// Remove takes the pair out and reports whether it was there.
func (x *Index) Remove(hash *[32]byte, ref uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	refs := x.rows[*hash]
	for i, r := range refs {
		if r == ref {
			if refs = append(refs[:i:i], refs[i+1:]...); len(refs) == 0 {
				delete(x.rows, *hash)
			} else {
				x.rows[*hash] = refs
			}
			x.n--
			return true
		}
	}
	return false
}

// Search appends to dst every pair within radius bits of q, ordered by
// distance, then hash, then ref. truncated says that a limit of the index was
// met and matches may be missing.
func (x *Index) Search(q *[32]byte, radius int, dst []Match) (matches []Match, truncated bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	from := len(dst)
	for h, refs := range x.rows {
		if d := distance(q, &h); d <= radius {
			for _, r := range refs {
				dst = append(dst, Match{h, r, d})
			}
		}
	}
	sortMatches(dst[from:])
	if most := x.limits.Matches; most > 0 && len(dst)-from > most {
		return dst[:from+most], true
	}
	return dst, false
}

func distance(a, b *[32]byte) int {
	d := 0
	for i := 0; i < 32; i += 8 {
		d += bits.OnesCount64(binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]))
	}
	return d
}
