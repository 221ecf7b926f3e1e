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

// Stream reads keys of 32 bytes from src until it ends and then writes one byte
// to dst for each, in their order: 1 for a listed key, 0 for another. Nothing
// is written before src has ended, as HTTP/1 wants it; until then a byte is
// kept for every 32 received, and the caller bounds how many those may be. It
// returns how many keys were answered. The error is ErrTornRow when src ends
// within a key, and otherwise what reading or writing gave.
func (t *Table) Stream(dst io.Writer, src io.Reader) (answered int64, err error) {
	rows := make([]byte, 32*streamRows)
	var out []byte
	for {
		n, err := io.ReadFull(src, rows)
		k := n / 32
		out = append(out, make([]byte, k)...)
		t.HasRows(rows[:32*k], out[len(out)-k:])
		switch {
		case err == nil:
			continue
		case err != io.EOF && err != io.ErrUnexpectedEOF:
			return 0, fmt.Errorf("reading keys: %w", err)
		case n%32 != 0:
			return 0, ErrTornRow
		}
		if _, err := dst.Write(out); err != nil {
			return 0, fmt.Errorf("writing answers: %w", err)
		}
		return int64(len(out)), nil
	}
}
