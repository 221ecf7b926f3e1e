// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// An answer of several pieces comes out as it went in, whether it shrinks or not.
func TestPiecesAreUnpackedOneBehindTheOther(t *testing.T) {
	noise := make([]byte, 3*pieceSize+1000)
	rand.NewChaCha8([32]byte{}).Read(noise)
	for name, answer := range map[string][]byte{
		"noise": noise,
		"alike": bytes.Repeat([]byte("a signal of an entry "), 3*pieceSize/20),
		"both":  bytes.Join([][]byte{noise[:pieceSize/2], bytes.Repeat([]byte{7}, 2*pieceSize), noise}, nil),
		"some":  noise[:100],
		"none":  nil,
	} {
		for _, pack := range []func(b, piece []byte) []byte{appendPacked, appendStored} {
			through(t, name, answer, pack)
		}
	}
}

func through(t *testing.T, name string, answer []byte, pack func(b, piece []byte) []byte) {
	t.Helper()
	var out []byte
	for rest := answer; len(rest) > 0; {
		piece := rest[:min(len(rest), pieceSize)]
		rest = rest[len(piece):]
		packed := pack([]byte{kindPiece}, piece)
		if len(packed) > 1+maxPacked {
			t.Fatalf("%s: a piece is packed into %d bytes", name, len(packed)-1)
		}
		var err error
		if out, err = appendUnpacked(out, packed[1:]); err != nil {
			t.Fatalf("%s: a piece behind others: %v", name, err)
		}
	}
	if !bytes.Equal(out, answer) {
		t.Fatalf("%s: %d bytes came out, not those %d", name, len(out), len(answer))
	}
}
