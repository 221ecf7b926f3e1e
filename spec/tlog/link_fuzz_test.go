// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"bytes"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// linked makes a log of three leaves, in which a panel of three hands over to one
// of four, and the link that shows it.
func linked(t testing.TB) (*spec.Panel, *Link) {
	t.Helper()
	list, keys := seats(4)
	first := &spec.Panel{Tag: spec.TagPanel, K: 2, Seats: list[:3]}
	c, err := ChainFrom(testOrigin, first)
	if err != nil {
		t.Fatal(err)
	}
	next := &spec.Panel{Tag: spec.TagPanel, Number: 1, K: 3, Seats: list}
	leaf, err := spec.Encode(next)
	if err != nil {
		t.Fatal(err)
	}
	log := new(Memory)
	for _, l := range [][]byte{[]byte("a leaf"), leaf, []byte("the root of the state")} {
		log.Add(spec.LeafHash(l))
	}
	root, err := Root(log, log.Size)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Grow(next, log.Size, 0); err != nil {
		t.Fatal(err)
	}
	at := signed(c.At(log.Size), keys, Checkpoint{Origin: testOrigin, Size: log.Size, Root: root}, 10, 20, 30)
	l, err := NewLink(c, log, leaf, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	return first, l
}

// seeds are links as bytes: one that holds, and one with every field of a recovery.
func seeds(t testing.TB) (first *spec.Panel, holds, recovers []byte) {
	t.Helper()
	first, l := linked(t)
	holds, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	other := *l
	leaf := Leaf{Index: 1, Bytes: l.Panel, Proof: l.Proof}
	record := Record{Key: spec.ClockKey, Value: []byte{0x80}, Proof: BucketProof{Turns: 1, Path: l.Proof, Siblings: l.Proof}}
	other.Recovery = mustEncode(t, &Recovery{Note: l.Note, Consistency: l.Proof, Root: leaf, Records: []Record{record}, Ops: []Leaf{leaf}})
	if recovers, err = other.Encode(); err != nil {
		t.Fatal(err)
	}
	return first, holds, recovers
}

// FuzzParseLink reads bytes as a link and adds it to a chain: what is taken writes
// back as it was read, and what lets the chain grow shows the one hand-off that its
// panel cosigned.
func FuzzParseLink(f *testing.F) {
	first, holds, recovers := seeds(f)
	f.Add(holds)
	f.Add(recovers)
	_, l := recovered(f)
	recovery := mustEncode(f, l)
	f.Add(recovery)
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseLink(data)
		if err != nil {
			if spec.CodeOf(err) == "" {
				t.Fatalf("refused without a code: %v", err)
			}
			return
		}
		if again, err := l.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Fatal("a link does not write back as it was read")
		}
		c, err := ChainFrom(testOrigin, first)
		if err != nil {
			t.Fatal(err)
		}
		err = c.Add(l)
		if err != nil && spec.CodeOf(err) == "" {
			t.Fatalf("not added, without a code: %v", err)
		}
		if err == nil && !sameButForSignatures(t, data, holds) && !sameButForSignatures(t, data, recovery) {
			t.Fatal("the chain grew by a link that nobody cosigned")
		}
	})
}

// sameButForSignatures reports whether two links show the same panel in the same
// place: cosignatures of the same checkpoint may be others.
func sameButForSignatures(t *testing.T, a, b []byte) bool {
	t.Helper()
	x, errX := ParseLink(a)
	y, errY := ParseLink(b)
	if errX != nil || errY != nil {
		t.Fatal(errX, errY)
	}
	for _, l := range []*Link{x, y} {
		l.Note = textOf(l.Note)
		r, err := l.recovery()
		if err != nil {
			t.Fatal(err)
		}
		if r != nil {
			r.Note = textOf(r.Note)
			l.Recovery = mustEncode(t, r)
		}
	}
	return bytes.Equal(mustEncode(t, x), mustEncode(t, y))
}

func textOf(note []byte) []byte {
	text, _, _ := bytes.Cut(note, []byte("\n\n"))
	return text
}

// TestEveryByteOfALinkCounts changes each byte of a link that holds.
func TestEveryByteOfALinkCounts(t *testing.T) {
	first, holds, _ := seeds(t)
	add := func(data []byte) error {
		l, err := ParseLink(data)
		if err != nil {
			return err
		}
		c, err := ChainFrom(testOrigin, first)
		if err != nil {
			t.Fatal(err)
		}
		return c.Add(l)
	}
	if err := add(holds); err != nil {
		t.Fatal(err)
	}
	for i := range holds {
		bad := bytes.Clone(holds)
		bad[i] ^= 1
		if err := add(bad); spec.CodeOf(err) == "" {
			t.Fatalf("byte %d of %d turned: %v", i, len(holds), err)
		}
	}
	if _, err := ParseLink(make([]byte, MaxLink+1)); spec.CodeOf(err) != spec.CodeTooLarge {
		t.Fatalf("a link beyond its bound: %v", err)
	}
}
