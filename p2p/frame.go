// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"errors"
	"io"

	"github.com/tocsin-db/tocsin/spec"
)

// MaxFrame is the largest payload of one frame, in bytes.
const MaxFrame = 1 << 20

// firstRead is what a frame reader allocates before any payload has arrived.
const firstRead = 4 << 10

// frameSource is what a frame is read from; a bufio.Reader is one.
type frameSource interface {
	io.Reader
	io.ByteReader
}

// ReadFrame reads uvarint(length) ‖ payload. It returns io.EOF when the source
// ends between frames, TOO_LARGE when the length is above limit or MaxFrame, and
// MALFORMED for a length that is not in its shortest form. Memory grows with
// the bytes that arrived, never with the length that was claimed.
func ReadFrame(r frameSource, limit int) ([]byte, error) {
	limit = max(0, min(limit, MaxFrame))
	n, err := readLength(r)
	if err != nil {
		return nil, err
	}
	if n > uint64(limit) {
		return nil, spec.Errorf(spec.CodeTooLarge, "a frame of %d bytes is above the limit of %d", n, limit)
	}
	return readGrowing(r, int(n))
}

func readLength(r io.ByteReader) (uint64, error) {
	var n uint64
	for i := range 4 { // four groups of seven bits hold more than MaxFrame
		b, err := r.ReadByte()
		if err != nil {
			return 0, truncated(err, i > 0)
		}
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if b == 0 && i > 0 {
				return 0, spec.Errorf(spec.CodeMalformed, "a frame length is not in its shortest form")
			}
			return n, nil
		}
	}
	return 0, spec.Errorf(spec.CodeTooLarge, "a frame is at most %d bytes", MaxFrame)
}

// readGrowing reads exactly n bytes into a buffer that at most doubles what has
// been received.
func readGrowing(r io.Reader, n int) ([]byte, error) {
	buf := make([]byte, 0, min(n, firstRead))
	for len(buf) < n {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(n, 2*cap(buf)))
			copy(grown, buf)
			buf = grown
		}
		got, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+got]
		if err != nil {
			return nil, truncated(err, true)
		}
	}
	return buf, nil
}

func truncated(err error, inside bool) error {
	if inside && errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
