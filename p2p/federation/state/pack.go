// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/binary"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/tocsin-db/tocsin/spec"
)

// Pieces travel packed (zstd, RFC 8878), each for itself: chunks say the same of many
// signals, and a reader has more of processors than of network. Packing piece by piece
// bounds what one frame can make a reader allocate. A server that is not paced stores
// them instead: then it is its processors that a reader waits for.

// maxPacked is how many bytes a packed piece has at most: those of a piece that does
// not shrink, with what the format adds.
const maxPacked = pieceSize + pieceSize/128 + 64

// packer packs; any number of goroutines may use it. The options are right, so that
// making it cannot fail.
var packer = sync.OnceValue(func() *zstd.Encoder {
	e, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(pieceSize), zstd.WithEncoderCRC(false))
	return e
})

// unpacker is the other way round.
var unpacker = sync.OnceValue(func() *zstd.Decoder {
	d, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(pieceSize), zstd.WithDecoderMaxWindow(pieceSize))
	return d
})

// appendPacked appends a piece, packed.
func appendPacked(b, piece []byte) []byte { return packer().EncodeAll(piece, b) }

// storedBlock is how many bytes a block has at most (RFC 8878 §3.1.1.2.4).
const storedBlock = 128 << 10

// appendStored appends a piece as a frame that only holds it: of one segment, with its
// size in four bytes, of raw blocks (RFC 8878 §3.1.1).
func appendStored(b, piece []byte) []byte {
	if len(piece) == 0 {
		return b
	}
	b = append(b, 0x28, 0xb5, 0x2f, 0xfd, 0xa0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(piece)))
	for len(piece) > 0 {
		block := piece[:min(len(piece), storedBlock)]
		piece = piece[len(block):]
		head := uint32(len(block)) << 3
		if len(piece) == 0 {
			head |= 1 // the last
		}
		b = append(append(b, byte(head), byte(head>>8), byte(head>>16)), block...)
	}
	return b
}

// appendUnpacked appends what was packed, which is a piece at most.
func appendUnpacked(b, packed []byte) ([]byte, error) {
	piece, err := unpacker().DecodeAll(packed, nil) // which counts what stands before as well
	if err != nil || len(piece) > pieceSize {
		return nil, spec.Errorf(spec.CodeMalformed, "a piece of an answer cannot be unpacked")
	}
	if len(b) == 0 {
		return piece, nil
	}
	return append(b, piece...), nil
}
