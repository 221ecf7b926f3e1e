// SPDX-License-Identifier: Apache-2.0

package pages

import "testing"

func TestGrowingItemsNeverMove(t *testing.T) {
	g, err := NewGrowing[[3]uint64](1)
	if err != nil {
		t.Fatal(err)
	}
	places := map[uint64]*[3]uint64{}
	for n := uint64(1); n < 300_000; n = n*2 + n%3 {
		if err := g.Reach(n); err != nil {
			t.Fatal(err)
		}
		p := g.At(n - 1)
		if *p != ([3]uint64{}) && places[n-1] == nil {
			t.Fatalf("item %d is not zeroed or lies on another", n-1)
		}
		*p, places[n-1] = [3]uint64{n, n, n}, p
		for i, p := range places {
			if g.At(i) != p || *p != [3]uint64{i + 1, i + 1, i + 1} {
				t.Fatalf("item %d moved or changed", i)
			}
		}
	}
}
