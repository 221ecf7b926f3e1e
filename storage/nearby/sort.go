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
	spare = append(spare[:0], ms...)
	keys, sorted := sortKeys(keys)
	for i, k := range sorted {
		ms[i] = spare[k%mostIndexed]
	}
	sortTies(ms, sorted)
	return keys, spare
}

// sortKeys sorts by distance first: there are few, so that counting tells where
// each begins, and what is left to sort is short. The sorted keys stand behind
// the others in all.
func sortKeys(keys []uint64) (all, sorted []uint64) {
	const distanceShift = 55
	var starts [257 + 1]int
	for _, k := range keys {
		starts[k>>distanceShift+1]++
	}
	for d := 1; d < len(starts); d++ {
		starts[d] += starts[d-1]
	}
	n := len(keys)
	all = slices.Grow(keys, n)[:2*n]
	sorted = all[n:]
	for _, k := range all[:n] {
		at := &starts[k>>distanceShift]
		sorted[*at] = k
		*at++
	}
	from := 0
	for d := 0; from < n; d++ {
		slices.Sort(sorted[from:starts[d]])
		from = starts[d]
	}
	return all, sorted
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
