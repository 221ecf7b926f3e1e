// SPDX-License-Identifier: Apache-2.0

package exact

import (
	"errors"
	"fmt"
	"io"
)

// ErrTornRow says that the last row of a stream was shorter than 32 bytes.
var ErrTornRow = errors.New("the stream of keys does not end at a row of 32 bytes")

const streamRows = 2048

// Stream reads keys of 32 bytes from src until it ends and writes one byte to
// dst for each, in their order: 1 for a listed key, 0 for another. It keeps
// 66 KiB however long the stream is; the caller bounds the stream. It returns
// how many keys were answered. The error is ErrTornRow when src ends within a
// key, and otherwise what reading or writing gave.
func (t *Table) Stream(dst io.Writer, src io.Reader) (answered int64, err error) {
	rows, out := make([]byte, 32*streamRows), make([]byte, streamRows)
	for {
		n, readErr := io.ReadFull(src, rows)
		if k := n / 32; k > 0 {
			t.HasRows(rows[:32*k], out[:k])
			if _, err := dst.Write(out[:k]); err != nil {
				return answered, fmt.Errorf("writing answers: %w", err)
			}
			answered += int64(k)
		}
		switch {
		case readErr == nil:
			continue
		case readErr != io.EOF && readErr != io.ErrUnexpectedEOF:
			return answered, fmt.Errorf("reading keys: %w", readErr)
		case n%32 != 0:
			return answered, ErrTornRow
		}
		return answered, nil
	}
}
