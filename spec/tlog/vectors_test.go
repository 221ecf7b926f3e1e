// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// pins are the conformance vectors of log.md, by name.
func pins(t testing.TB) map[string][]byte {
	t.Helper()
	data, err := os.ReadFile("../testdata/log.json")
	if err != nil {
		t.Fatal(err)
	}
	var book struct{ Vectors []struct{ Name, Hex string } }
	if err := json.Unmarshal(data, &book); err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, v := range book.Vectors {
		if out[v.Name], err = hex.DecodeString(v.Hex); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// founded is the chain of the pinned genesis document, before any link.
func founded(t testing.TB, pin map[string][]byte) (*Chain, *spec.Genesis) {
	t.Helper()
	g, err := spec.ParseGenesis(pin["genesis"])
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewChain(g)
	if err != nil {
		t.Fatal(err)
	}
	return c, g
}

// handedOver is the same with the pinned link.
func handedOver(t testing.TB, pin map[string][]byte) *Chain {
	t.Helper()
	c, _ := founded(t, pin)
	l, err := ParseLink(pin["link"])
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Add(l); err != nil {
		t.Fatal(err)
	}
	return c
}

// The pinned link is written as it is read, names the pinned panel, and leads there
// from the genesis document.
func TestThePinnedLinkHandsOver(t *testing.T) {
	pin := pins(t)
	c := handedOver(t, pin)
	l, ok := c.Link(1)
	if !ok {
		t.Fatal("the chain did not grow")
	}
	if again, err := l.Encode(); err != nil || !bytes.Equal(again, pin["link"]) || !bytes.Equal(l.Panel, pin["panel"]) {
		t.Errorf("read and written again it is %x, %v", again, err)
	}
	p, size, _ := c.Panel(1)
	before, _, _ := c.Panel(0)
	if p.K != 3 || len(p.Seats) != 4 || !slices.Equal(p.Seats[:3], before.Seats[:3]) || p.Seats[3] == before.Seats[3] {
		t.Errorf("panel 1 is %+v after %+v", p, before)
	}
	s, err := c.OpenExact(l.Note)
	if err != nil || s.Size != size || len(s.Cosignatures) != 5 {
		t.Errorf("the hand-off is %+v, %v", s, err)
	}
}

// No byte of the pinned link can be changed.
func TestNoByteOfThePinnedLinkCanBeChanged(t *testing.T) {
	pin := pins(t)
	for i := range pin["link"] {
		b := bytes.Clone(pin["link"])
		b[i] ^= 1 << (i % 8)
		c, _ := founded(t, pin)
		if l, err := ParseLink(b); err == nil && c.Add(l) == nil {
			t.Fatalf("a bit of byte %d can be flipped", i)
		}
	}
}

// The pinned checkpoint is final under the panel that took over and no other, and is
// written as it is read.
func TestThePinnedCheckpointIsFinal(t *testing.T) {
	pin := pins(t)
	c := handedOver(t, pin)
	s, err := c.OpenExact(pin["checkpoint"])
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Note(s); err != nil || !bytes.Equal(again, pin["checkpoint"]) {
		t.Errorf("read and written again it is %q, %v", again, err)
	}
	first, g := founded(t, pin)
	if _, err := first.OpenExact(pin["checkpoint"]); err == nil {
		t.Error("the founding panel alone takes a key that it does not know")
	}
	if got := LogVerifierKey(g.Origin()); got != string(pin["log-key"]) {
		t.Errorf("the log key is %s, pinned %s", got, pin["log-key"])
	}
	if got := CosignerVerifierKey(g.Origin(), g.FoundingPanel().Seats[0]); got != string(pin["cosign-key"]) {
		t.Errorf("alpha's cosign key is %s, pinned %s", got, pin["cosign-key"])
	}
}

// The pinned bundle has the leaves of the pinned checkpoint: the tile, and the proofs,
// follow from them.
func TestThePinnedFilesMakeThePinnedRoot(t *testing.T) {
	pin := pins(t)
	c := handedOver(t, pin)
	final, err := c.OpenExact(pin["checkpoint"])
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := ParseBundle(pin["bundle"])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(Bundle(leaves), pin["bundle"]) {
		t.Error("the bundle is written otherwise than it is read")
	}
	var tree Memory
	for _, l := range leaves {
		tree.Add(spec.LeafHash(l))
	}
	if tree.Size != final.Size || tree.Root() != final.Root {
		t.Fatalf("%d leaves of root %v, the checkpoint says %d of %v", tree.Size, tree.Root(), final.Size, final.Root)
	}
	tile, err := Tile{Level: 0, Width: int(final.Size)}.Data(&tree)
	if err != nil || !bytes.Equal(tile, pin["tile"]) {
		t.Errorf("the tile is %x, %v", tile, err)
	}
	hashes := func(name string) (out []spec.Hash) {
		for b := pin[name]; len(b) > 0; b = b[32:] {
			out = append(out, spec.Hash(b[:32]))
		}
		return out
	}
	if p, err := Inclusion(&tree, final.Size, 2); err != nil || !slices.Equal(p, hashes("inclusion")) {
		t.Errorf("the inclusion of leaf 2 is %v, %v", p, err)
	}
	if err := CheckInclusion(hashes("inclusion"), final.Size, 2, final.Root, spec.LeafHash(leaves[2])); err != nil {
		t.Error(err)
	}
	_, size, _ := c.Panel(1)
	old, err := Root(&tree, size)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := Consistency(&tree, size, final.Size); err != nil || !slices.Equal(p, hashes("consistency")) {
		t.Errorf("the consistency from the hand-off is %v, %v", p, err)
	}
	if err := CheckConsistency(hashes("consistency"), size, old, final.Size, final.Root); err != nil {
		t.Error(err)
	}
}
