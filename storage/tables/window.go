// SPDX-License-Identifier: Apache-2.0

package tables

import (
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// windowSize is how much is read at once of what follows one behind the other.
const windowSize = 256 << 10

// A window is a file that is read from front to back but for a look elsewhere now and
// then: at the index of a table, which stands behind the blocks that it names.
type window struct {
	vfs.File
	buf    []byte // what was read ahead
	from   int64  // where it stands in the file
	follow int64  // where the last look elsewhere ended
}

func (w *window) begin(f vfs.File) { w.File, w.buf, w.from, w.follow = f, w.buf[:0], 0, -1 }

// ReadAt reads what stands at an offset, of the window if it is there.
func (w *window) ReadAt(p []byte, off int64) (int, error) {
	end := w.from + int64(len(w.buf))
	inside := len(w.buf) > 0 && off >= w.from && off <= end
	if len(p) > windowSize || !inside && off != w.follow {
		w.follow = off + int64(len(p))
		return w.File.ReadAt(p, off)
	}
	if off+int64(len(p)) > end || !inside {
		if err := w.fill(off); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.buf[off-w.from:])
	if n < len(p) {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

func (w *window) fill(off int64) error {
	if cap(w.buf) == 0 {
		w.buf = make([]byte, 0, windowSize)
	}
	n, err := w.File.ReadAt(w.buf[:windowSize], off)
	w.buf, w.from = w.buf[:n], off
	if errors.Is(err, io.EOF) { // which ReadAt finds out, should it be too soon
		return nil
	}
	return err
}
