// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"slices"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// Only true neighbours, shown where there are some, prove that nothing is between.
func TestNeighboursStandNextToEachOther(t *testing.T) {
	var all []Neighbour
	var bucket []spec.Hash
	for i := range byte(5) {
		n := Neighbour{K: spec.Hash{10 * (i + 1)}, C: spec.Hash{i}}
		all, bucket = append(all, n), append(bucket, n.leaf())
	}
	show := func(before, after int) *Absence {
		a := &Absence{Bucket: bucket}
		if before >= 0 && before < len(all) {
			a.Before = all[before : before+1]
		}
		if after >= 0 && after < len(all) {
			a.After = all[after : after+1]
		}
		return a
	}
	for k := range byte(70) {
		place, listed := spec.Hash{k}, k%10 == 0 && k >= 10 && k <= 50
		first := slices.IndexFunc(all, func(n Neighbour) bool { return n.K[0] > k })
		if first < 0 {
			first = len(all)
		}
		for before := -1; before < len(all); before++ {
			for after := 0; after <= len(all); after++ {
				want := !listed && after == first && before == first-1
				if err := show(before, after).between(place); (err == nil) != want {
					t.Errorf("place %d between %d and %d: %v", k, before, after, err)
				}
			}
		}
	}
	if err := (&Absence{}).between(spec.Hash{1}); err != nil {
		t.Errorf("an empty bucket: %v", err)
	}
	if err := (&Absence{Before: all[:1]}).between(spec.Hash{70}); err == nil {
		t.Error("a neighbour that is not in the bucket counts")
	}
}
