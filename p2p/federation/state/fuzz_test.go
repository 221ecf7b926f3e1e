// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

func FuzzRequests(f *testing.F) {
	f.Add([]byte{kindManifest, 0x82, 0, 1})
	f.Add([]byte{kindNodes, 0x84, 1, 1, 0, 0})
	f.Fuzz(func(t *testing.T, frame []byte) {
		kind, v, err := decodeRequest(frame)
		if err != nil {
			return
		}
		b, err := encode(kind, v)
		if err != nil || !bytes.Equal(b, frame) {
			t.Fatal("a request of another form was read")
		}
	})
}

func FuzzManifests(f *testing.F) {
	m := Manifest{Size: 3, Frontier: make([]spec.Hash, 2), Leaf: []byte{1}}
	b, err := spec.Encode(&m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := DecodeManifest(data)
		if err != nil {
			return
		}
		if _, err := m.Verify(tlog.Checkpoint{Size: 100}); err == nil {
			t.Fatal("a made-up manifest verifies")
		}
	})
}

func FuzzPieces(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add([]byte("before"), appendPacked(nil, bytes.Repeat([]byte("a piece"), 1000)))
	f.Add([]byte{}, appendPacked(nil, make([]byte, pieceSize)))
	f.Add([]byte{}, appendPacked(nil, make([]byte, pieceSize+1)))
	f.Fuzz(func(t *testing.T, before, packed []byte) {
		out, err := appendUnpacked(bytes.Clone(before), packed)
		if err != nil {
			if spec.CodeOf(err) != spec.CodeMalformed {
				t.Fatal(err)
			}
			return
		}
		piece, ok := bytes.CutPrefix(out, before)
		if !ok || len(piece) > pieceSize {
			t.Fatalf("%d bytes came out, or others before them", len(piece))
		}
		again := appendPacked(nil, piece)
		if got, err := appendUnpacked(nil, again); err != nil || !bytes.Equal(got, piece) || len(again) > maxPacked {
			t.Fatalf("packed to %d bytes and back: %v", len(again), err)
		}
	})
}
