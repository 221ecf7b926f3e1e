// SPDX-License-Identifier: Apache-2.0

package exact

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrTornRow says that the last row of a stream was shorter than 32 bytes.
var ErrTornRow = errors.New("the stream of keys does not end at a row of 32 bytes")

// streamRows is how many rows are answered at once: enough for the batch to wait
// for memory together, few enough that the rows stay in the processor's cache.
const streamRows = 1024

type streamBuffer struct {
	rows [32 * streamRows]byte
	out  [streamRows]byte
}

var streamBuffers = sync.Pool{New: func() any { return new(streamBuffer) }}

// Stream reads keys of 32 bytes from src until it ends and writes one byte to dst
// for each, in their order, as answer gives them for keys that lie one after the
// other, which it may overwrite. Answers are written while keys still come, in pieces
// of at most streamRows; the memory it takes does not depend on how many come, and the
// caller bounds that. It returns how many keys were answered. The error is ErrTornRow
// when src ends within a key, and otherwise what reading, answering or writing gave;
// the whole keys before it were answered.
func Stream(dst io.Writer, src io.Reader, answer func(rows, out []byte) error) (answered int64, err error) {
	b := streamBuffers.Get().(*streamBuffer)
	defer streamBuffers.Put(b)
	for {
		n, err := io.ReadFull(src, b.rows[:])
		out := b.out[:n/32]
		if len(out) > 0 {
			if err := answer(b.rows[:32*len(out)], out); err != nil {
				return answered, err
			}
			if _, err := dst.Write(out); err != nil {
				return answered, fmt.Errorf("writing answers: %w", err)
			}
			answered += int64(len(out))
		}
		switch {
		case err == nil:
		case err != io.EOF && err != io.ErrUnexpectedEOF:
			return answered, fmt.Errorf("reading keys: %w", err)
		case n%32 != 0:
			return answered, ErrTornRow
		default:
			return answered, nil
		}
	}
}
