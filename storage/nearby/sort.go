// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"encoding/binary"
	"slices"
)

// A match is large and comparing two is slow, so many are sorted by one number
// each: the distance, the first bits of the hash, and where the match stands.
const (
	fewMatches  = 12
	indexBits   = 16
	mostIndexed = 1 << indexBits
)

// sortMatches orders matches as Match.Compare does. keys and spare are its
// memory from before.
func sortMatches(ms []Match, keys []uint64, spare []Match) ([]uint64, []Match) {
	if len(ms) <= fewMatches || len(ms) > mostIndexed {
		slices.SortFunc(ms, Match.Compare)
		return keys, spare
	}
	keys = keys[:0]
	for i := range ms {
		first := binary.BigEndian.Uint64(ms[i].Hash[:]) >> 9 // a distance has 9 bits
		keys = append(keys, (uint64(ms[i].Distance)<<55|first)&^(mostIndexed-1)|uint64(i))
	}
	slices.Sort(keys)
	spare = append(spare[:0], ms...)
	for i, k := range keys {
		ms[i] = spare[k%mostIndexed]
	}
	sortTies(ms, keys)
	return keys, spare
}

// sortTies orders the matches whose keys are the same but for their place.
func sortTies(ms []Match, keys []uint64) {
	for from := 0; from < len(keys); {
		to := from + 1
		for to < len(keys) && keys[to]>>indexBits == keys[from]>>indexBits {
			to++
		}
		if to-from > 1 {
			slices.SortFunc(ms[from:to], Match.Compare)
		}
		from = to
	}
}
