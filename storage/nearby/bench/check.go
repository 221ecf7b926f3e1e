// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/tocsin-db/tocsin/storage/nearby"
)

// checkedQueries is how many queries are compared with every entry.
const checkedQueries = 24

// checkAgainstBruteForce compares every entry with a sample of the queries
// and fails when the index answers differently.
func checkAgainstBruteForce(ctx context.Context, x *nearby.Index, queries [][rowSize]byte, o SearchOptions) (checked int, err error) {
	checked = min(checkedQueries, len(queries))
	sample := make([][4]uint64, checked)
	want := make([]map[uint64]int, checked)
	at := func(i int) int { return i * len(queries) / checked }
	for i := range sample {
		sample[i], want[i] = words(&queries[at(i)]), map[uint64]int{}
	}
	err = eachRow(ctx, o.DB, func(entry int, row *[rowSize]byte) error {
		r := words(row)
		for i := range sample {
			if d := distance(&r, &sample[i]); d <= o.Radius {
				want[i][uint64(entry)] = d
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for i := range sample {
		got, _ := x.Search(&queries[at(i)], o.Radius, nil)
		if err := sameMatches(got, want[i]); err != nil {
			return 0, fmt.Errorf("query %d: %w", at(i), err)
		}
	}
	return checked, nil
}

func sameMatches(got []nearby.Match, want map[uint64]int) error {
	if len(got) != len(want) {
		return fmt.Errorf("the index finds %d entries, brute force %d", len(got), len(want))
	}
	for _, m := range got {
		if d, ok := want[m.Ref]; !ok || d != m.Distance {
			return fmt.Errorf("the index finds entry %d at distance %d, brute force does not", m.Ref, m.Distance)
		}
	}
	return nil
}

func words(row *[rowSize]byte) (w [4]uint64) {
	for i := range w {
		w[i] = binary.LittleEndian.Uint64(row[8*i:])
	}
	return w
}

func distance(a, b *[4]uint64) (d int) {
	for i := range a {
		d += bits.OnesCount64(a[i] ^ b[i])
	}
	return d
}
