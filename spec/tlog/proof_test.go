// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"bytes"
	"encoding/binary"
	"testing"

	sumdb "golang.org/x/mod/sumdb/tlog"

	"github.com/tocsin-db/tocsin/spec"
)

func leafOf(i uint64) []byte { return binary.BigEndian.AppendUint64([]byte("leaf"), i) }

func treeOf(n uint64) (*Memory, []spec.Hash) {
	var m Memory
	roots := []spec.Hash{m.Root()}
	for i := range n {
		m.Add(spec.LeafHash(leafOf(i)))
		roots = append(roots, m.Root())
	}
	return &m, roots
}

func TestProofsHoldAndNothingElseDoes(t *testing.T) {
	const n = 70
	m, roots := treeOf(n)
	for size := uint64(1); size <= n; size += 3 {
		if r, err := Root(m, size); err != nil || r != roots[size] {
			t.Fatalf("root at %d: %v", size, err)
		}
		for i := range size {
			proof, err := Inclusion(m, size, i)
			if err != nil {
				t.Fatal(err)
			}
			leaf := spec.LeafHash(leafOf(i))
			if err := CheckInclusion(proof, size, i, roots[size], leaf); err != nil {
				t.Fatalf("leaf %d of %d: %v", i, size, err)
			}
			if CheckInclusion(proof, size, i, roots[size], spec.LeafHash(leafOf(i+1))) == nil ||
				CheckInclusion(proof, size, i, roots[size-1], leaf) == nil ||
				CheckInclusion(append(proof, spec.Hash{}), size, i, roots[size], leaf) == nil {
				t.Fatalf("a wrong proof of leaf %d of %d holds", i, size)
			}
		}
		for old := range size {
			proof, err := Consistency(m, old, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckConsistency(proof, old, roots[old], size, roots[size]); err != nil {
				t.Fatalf("%d begins %d: %v", old, size, err)
			}
			if old > 0 && CheckConsistency(proof, old, roots[old-1], size, roots[size]) == nil {
				t.Fatalf("another tree of %d begins %d", old, size)
			}
		}
	}
	if CheckConsistency(nil, 0, roots[1], 1, roots[1]) == nil {
		t.Fatal("an empty tree has a root of one leaf")
	}
}

// A stock client that reads tiles by their paths proves leaves against our root.
func TestStockClientReadsTiles(t *testing.T) {
	const n = 70000
	m, roots := treeOf(n)
	tree := sumdb.Tree{N: n, Hash: sumdb.Hash(roots[n])}
	reads := 0
	client := tileClient(func(p sumdb.Tile) ([]byte, error) {
		reads++
		tile, err := ParseTilePath(Tile{Level: p.L, Index: uint64(p.N), Width: p.W}.Path())
		if err != nil {
			return nil, err
		}
		if !tile.In(n) {
			t.Errorf("the client asks for %s, which a log of %d has not", tile.Path(), n)
		}
		return tile.Data(m)
	})
	hashes := sumdb.TileHashReader(tree, client)
	for _, i := range []int64{0, 255, 256, 65535, 65536, n - 1} {
		proof, err := sumdb.ProveRecord(n, i, hashes)
		if err != nil {
			t.Fatal(err)
		}
		if err := sumdb.CheckRecord(proof, n, tree.Hash, i, sumdb.Hash(spec.LeafHash(leafOf(uint64(i))))); err != nil {
			t.Fatalf("leaf %d: %v", i, err)
		}
	}
	if reads == 0 {
		t.Fatal("nothing was read from tiles")
	}
}

type tileClient func(sumdb.Tile) ([]byte, error)

func (tileClient) Height() int                      { return tileHeight }
func (tileClient) SaveTiles([]sumdb.Tile, [][]byte) {}
func (c tileClient) ReadTiles(tiles []sumdb.Tile) (out [][]byte, err error) {
	for _, t := range tiles {
		b, err := c(t)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func TestTilePaths(t *testing.T) {
	for path, want := range map[string]Tile{
		"tile/0/000":                     {0, 0, 256},
		"tile/3/x001/x234/067":           {3, 1234067, 256},
		"tile/entries/x001/000.p/1":      {EntriesLevel, 1000, 1},
		"tile/1/999.p/255":               {1, 999, 255},
		"tile/entries/x123/x456/789":     {EntriesLevel, 123456789, 256},
		"tile/2/x001/x002/x003/004":      {2, 1002003004, 256},
		"tile/entries/x999/x999/999.p/7": {EntriesLevel, 999999999, 7},
	} {
		got, err := ParseTilePath(path)
		if err != nil || got != want || got.Path() != path {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	for _, bad := range []string{
		"", "tile/", "tile/0", "tile/0/0", "tile/0/1000", "tile/0/x000/001", "tile/0/001.p/0", "tile/0/001.p/256",
		"tile/00/001", "tile/7/001", "tile/-1/001", "tile/0/001.p/", "tile/0/../001", "tile/0/x001/x002", "tile/0/x999/x999/x999/x999/x999/999", "tile/entries/+01",
	} {
		if tile, err := ParseTilePath(bad); spec.CodeOf(err) != spec.CodeMalformed {
			t.Errorf("%q was read as %+v, %v", bad, tile, err)
		}
	}
}

func FuzzTilePath(f *testing.F) {
	f.Add("tile/3/x001/x234/067.p/1")
	f.Fuzz(func(t *testing.T, path string) {
		if tile, err := ParseTilePath(path); err == nil && tile.Path() != path {
			t.Fatalf("%q was read as %q", path, tile.Path())
		}
	})
}

func FuzzParseBundle(f *testing.F) {
	f.Add(Bundle([][]byte{{1}, {}, bytes.Repeat([]byte{2}, 300)}))
	f.Fuzz(func(t *testing.T, data []byte) {
		leaves, err := ParseBundle(data)
		if err == nil && !bytes.Equal(Bundle(leaves), data) {
			t.Fatal("a bundle does not write back as it was read")
		}
	})
}
