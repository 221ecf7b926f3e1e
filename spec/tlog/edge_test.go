// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tocsin-db/tocsin/spec"
)

// The root at every size, and every stored hash, equal those of an independent
// implementation of RFC 6962.
func TestEdgeAgreesWithSumdb(t *testing.T) {
	var edge Edge
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(idx []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(idx))
		for i, x := range idx {
			out[i] = stored[x]
		}
		return out, nil
	})
	ours := map[int64]spec.Hash{}
	for n := range int64(300) {
		leaf := []byte{byte(n), byte(n >> 8), 7}
		hashes, err := tlog.StoredHashes(n, leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		edge.Append(spec.LeafHash(leaf), func(level int, index uint64, h spec.Hash) {
			ours[tlog.StoredHashIndex(level, int64(index))] = h
		})
		want, err := tlog.TreeHash(n+1, reader)
		if err != nil {
			t.Fatal(err)
		}
		if edge.Root() != spec.Hash(want) {
			t.Fatalf("root at size %d differs", n+1)
		}
		again := Edge{Size: edge.Size}
		for _, p := range EdgePlaces(edge.Size) {
			again.Hashes = append(again.Hashes, ours[tlog.StoredHashIndex(p.Level, int64(p.Index))])
		}
		if again.Root() != edge.Root() {
			t.Fatalf("the edge read back at size %d differs", n+1)
		}
	}
	for i, h := range stored {
		if ours[int64(i)] != spec.Hash(h) {
			t.Fatalf("stored hash %d differs", i)
		}
	}
	if spec.EmptyRoot != (&Edge{}).Root() {
		t.Fatal("the root of the empty tree is not that of no leaves")
	}
}
