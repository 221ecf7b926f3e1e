// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"bytes"
	"testing"
)

// FuzzDecode feeds a message to the decoder and, when it is a part, to the
// assembler. What is accepted must encode to the same bytes and obey the bounds.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{kindSub, 0x81, 0x05})
	f.Add(rawHead(f, 3))
	f.Add(rawPart(f, part{First: 0, Leaves: [][]byte{{1}, {2}}, Openings: []Opening{{Bytes: []byte("o")}}, Last: true}))
	f.Add([]byte{kindFault, 0x84, 0x64, 'G', 'O', 'N', 'E', 0x60, 0x00, 0x07})
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, err := decode(frame)
		if err != nil {
			return
		}
		var again []byte
		switch m := m.(type) {
		case *sub:
			again, err = encode(kindSub, m)
		case *Head:
			again, err = encode(kindHead, m)
		case *part:
			again, err = encode(kindPart, m)
			a := assembler{next: m.First}
			if g, aerr := a.add(m); aerr == nil && m.Last && (g == nil || g.check() != nil || a.next != g.Next()) {
				t.Fatalf("assembled %+v", g)
			}
		case *fault:
			if m.err == nil {
				t.Fatal("a fault that is none")
			}
			return
		default:
			t.Fatalf("decoded to %T", m)
		}
		if err != nil || !bytes.Equal(again, frame) {
			t.Fatalf("re-encodes to %x, %v", again, err)
		}
	})
}

// FuzzSplit splits a group into parts, sends them through the codec and puts
// them together again.
func FuzzSplit(f *testing.F) {
	f.Add(uint16(3), uint16(100), uint16(2), uint32(5000))
	f.Add(uint16(200), uint16(60000), uint16(9), uint32(131072))
	f.Add(uint16(20000), uint16(1), uint16(0), uint32(0))
	f.Fuzz(func(t *testing.T, leaves, leafSize, openings uint16, openingSize uint32) {
		g := Group{First: 42}
		for i := range min(int(leaves), 20000) + 1 {
			g.Leaves = append(g.Leaves, bytesOf(int(leafSize)%1000+1+i%3, byte(i)))
		}
		for i := range openings % 16 {
			g.Openings = append(g.Openings, Opening{Case: [32]byte{byte(i)}, Bytes: bytesOf(int(openingSize%MaxOpening), byte(i))})
		}
		a := assembler{next: 42}
		var got *Group
		err := g.parts(func(p part) error {
			b, err := encode(kindPart, &p)
			if err != nil {
				return err
			}
			m, err := decode(b)
			if err != nil {
				return err
			}
			if got != nil {
				t.Fatal("parts behind the last")
			}
			got, err = a.add(m.(*part))
			return err
		})
		if err != nil || got == nil {
			t.Fatalf("assembling: %v, %v", got, err)
		}
		if len(got.Leaves) != len(g.Leaves) || len(got.Openings) != len(g.Openings) || got.cost() != g.cost() {
			t.Fatalf("got %d leaves and %d openings", len(got.Leaves), len(got.Openings))
		}
		for i := range g.Leaves {
			if !bytes.Equal(g.Leaves[i], got.Leaves[i]) {
				t.Fatalf("leaf %d differs", i)
			}
		}
	})
}
