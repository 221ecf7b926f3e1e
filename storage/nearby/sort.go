// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// fewMatches is how many matches are sorted as they are.
const fewMatches = 12

// sortKey is a match in short: its distance and the first 55 bits of its hash
// in one number, and where it stands.
type sortKey struct {
	key uint64
	at  int
}

// sortMatches orders matches as Match.Compare does. A viral image has
// thousands, and a match is large, so many of them are sorted by short keys.
func sortMatches(ms []Match, keys []sortKey) []sortKey {
	if len(ms) <= fewMatches {
		slices.SortFunc(ms, Match.Compare)
		return keys
	}
	keys = keys[:0]
	for i := range ms {
		first := binary.BigEndian.Uint64(ms[i].Hash[:])
		keys = append(keys, sortKey{uint64(ms[i].Distance)<<55 | first>>9, i})
	}
	slices.SortFunc(keys, func(a, b sortKey) int {
		if c := cmp.Compare(a.key, b.key); c != 0 {
			return c
		}
		return ms[a.at].Compare(ms[b.at])
	})
	place(ms, keys)
	return keys
}

// place moves each match to where its key stands, following the cycles of the
// permutation. It uses up the keys.
func place(ms []Match, keys []sortKey) {
	for i := range keys {
		if keys[i].at == i {
			continue
		}
		first, to := ms[i], i
		for {
			from := keys[to].at
			keys[to].at = to
			if from == i {
				ms[to] = first
				break
			}
			ms[to] = ms[from]
			to = from
		}
	}
}
