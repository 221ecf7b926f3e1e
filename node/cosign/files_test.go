// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	sumdb "golang.org/x/mod/sumdb/tlog"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// An auditor who knows nothing but the URL and the genesis reads the whole final
// log and proves it with a stock client.
func TestAnAuditorReadsTheLogOverHTTP(t *testing.T) {
	s := newKeptLog(t, 600)
	final, err := s.chain.OpenFinal(s.note(s.log, 515, 3, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.keep.Advance(final); err != nil {
		t.Fatal(err)
	}
	files := &Files{Log: s.log, Final: s.keep}
	server := httptest.NewServer(http.StripPrefix("/log/", files.Handler()))
	defer server.Close()
	get := func(path string) (int, []byte) {
		t.Helper()
		r, err := http.Get(server.URL + "/log/" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, b
	}
	_, note := get("checkpoint")
	c, err := s.chain.OpenFinal(note)
	if err != nil || c.Size != 515 {
		t.Fatalf("the checkpoint: %+v, %v", c, err)
	}
	var leaves [][]byte
	for i := uint64(0); i*tlog.TileWidth < c.Size; i++ {
		tile := tlog.Tile{Level: tlog.EntriesLevel, Index: i, Width: int(min(tlog.TileWidth, c.Size-i*tlog.TileWidth))}
		code, b := get(tile.Path())
		bundle, err := tlog.ParseBundle(b)
		if code != 200 || err != nil {
			t.Fatalf("%s: %d, %v", tile.Path(), code, err)
		}
		leaves = append(leaves, bundle...)
	}
	var tree tlog.Memory
	for _, l := range leaves {
		tree.Add(spec.LeafHash(l))
	}
	if tree.Size != c.Size || tree.Root() != c.Root {
		t.Fatal("the leaves are not those of the checkpoint")
	}
	hashes := sumdb.TileHashReader(sumdb.Tree{N: int64(c.Size), Hash: sumdb.Hash(c.Root)}, httpTiles(func(path string) ([]byte, error) {
		if code, b := get(path); code == 200 {
			return b, nil
		}
		return nil, fmt.Errorf("no %s", path)
	}))
	proof, err := sumdb.ProveRecord(int64(c.Size), 400, hashes)
	if err != nil {
		t.Fatal(err)
	}
	if err := sumdb.CheckRecord(proof, int64(c.Size), sumdb.Hash(c.Root), 400, sumdb.Hash(spec.LeafHash(s.log.leaves[400]))); err != nil {
		t.Fatal(err)
	}
	_, b := get(ConsistencyPath(100, 515))
	between, err := SplitHashes(b)
	if err != nil {
		t.Fatal(err)
	}
	old, err := tlog.Root(s.log, 100)
	if err != nil || tlog.CheckConsistency(between, 100, old, c.Size, c.Root) != nil {
		t.Fatalf("the proof of consistency does not hold, %v", err)
	}
	for _, path := range []string{"tile/entries/002.p/4", "tile/0/002", "tile/entries/003", "consistency/1/600", "consistency/x", "openings", "", "../checkpoint", "tile/7/000"} {
		if code, b := get(path); code != 404 {
			t.Errorf("%q: %d %q", path, code, b)
		}
	}
	r, err := http.Post(server.URL+"/log/checkpoint", "", bytes.NewReader(nil))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a POST: %d", r.StatusCode)
	}
}

type httpTiles func(path string) ([]byte, error)

func (httpTiles) Height() int                      { return 8 }
func (httpTiles) SaveTiles([]sumdb.Tile, [][]byte) {}
func (h httpTiles) ReadTiles(tiles []sumdb.Tile) (out [][]byte, err error) {
	for _, t := range tiles {
		b, err := h(tlog.Tile{Level: t.L, Index: uint64(t.N), Width: t.W}.Path())
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func FuzzReceive(f *testing.F) {
	b, err := spec.Encode(&request{Final: 3, Claims: []claim{{Size: 1, Time: 2}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := parseRequest(data); err == nil && len(r.Claims) > maxClaims {
			t.Fatal("more cosignatures than a request may have")
		}
	})
}

func FuzzParseEvidence(f *testing.F) {
	b, err := (&Evidence{Conflict: []byte("a"), Final: []byte("b")}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := ParseEvidence(data); err == nil {
			if again, err := e.Encode(); err != nil || !bytes.Equal(again, data) {
				t.Fatal("evidence does not write back as it was read")
			}
		}
	})
}

func FuzzJudge(f *testing.F) {
	g := &spec.Genesis{Version: spec.GenesisVersion, Name: "fuzz", Policy: spec.DefaultPolicy()}
	for i, id := range []string{"alpha", "bravo", "charlie"} {
		var k [3]spec.PublicKey
		for j := range k {
			k[j] = spec.PublicKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(3*i + j)}, ed25519.SeedSize)).Public().(ed25519.PublicKey))
		}
		g.Organisations = append(g.Organisations, spec.Organisation{ID: id, Name: id, Role: spec.RoleMember, Jurisdiction: "FR", OpKey: k[0], CosignKey: k[1], Libp2pKey: k[2]})
	}
	chain, err := tlog.NewChain(g)
	if err != nil {
		f.Fatal(err)
	}
	e := &Equivocation{Version: EquivocationVersion, Org: "alpha", Key: g.Organisations[0].CosignKey, Size: 3}
	for i := range byte(2) {
		s := Statement{Root: spec.Hash{i}, Time: 1}
		s.Sig = tlog.Cosign(tlog.Checkpoint{Origin: g.Origin(), Size: 3, Root: s.Root}, "alpha", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)), 1).Sig
		e.Statements = append(e.Statements, s)
	}
	b, err := e.Encode()
	if err != nil {
		f.Fatal(err)
	}
	if _, err := Judge(b, g, chain); err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Judge(data, g, chain)
		if err == nil && !bytes.Equal(data, b) {
			t.Fatalf("whoever has no key accuses %v", p.Accused)
		}
		if e, err := ParseEquivocation(data); err == nil {
			if again, err := e.Encode(); err != nil || !bytes.Equal(again, data) {
				t.Fatal("an equivocation does not write back as it was read")
			}
		}
	})
}

func FuzzRecalled(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	store, err := OpenStore(f.TempDir()+"/cosigned/mark", spec.PublicKey(key.Public().(ed25519.PublicKey)), true)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { store.Close() })
	keys := []Key{{Private: key, Store: store}}
	own := tlog.Cosign(tlog.Checkpoint{Origin: simOrigin, Size: 9, Root: spec.Hash{1}}, "alpha", key, 2)
	b, err := spec.Encode([]claim{{Size: 9, Root: spec.Hash{1}, Key: own.Key, Time: 2, Sig: own.Sig}})
	if err != nil {
		f.Fatal(err)
	}
	if err := Recalled(simOrigin, "alpha", keys, b); spec.CodeOf(err) != spec.CodeForked {
		f.Fatalf("a cosignature beyond the mark: %v", err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := Recalled(simOrigin, "alpha", keys, data); spec.CodeOf(err) == spec.CodeForked && !bytes.Contains(data, own.Sig[:]) {
			t.Fatal("whoever has no key says what this node cosigned")
		}
	})
}
