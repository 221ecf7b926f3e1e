// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bytes"
	"io"
)

// header replaces the one that a document has. It is a comment to all but the
// check of the reader, which knows neither PDF 2.0 nor blanks after the number.
const header = "%PDF-1.7\n"

// tailSize is how far before the end of a file its last %%EOF may stand.
const tailSize = 2048

// A document is the part of a file that the PDF reader accepts: from the header,
// which may stand behind other bytes, to the last %%EOF, behind which others
// may stand. Readers in use are as lenient.
type document struct {
	r           io.ReaderAt
	start, size int64
}

func newDocument(r io.ReaderAt, size int64) document {
	d := document{r: r, size: size}
	head := make([]byte, min(size, headSize))
	n, _ := r.ReadAt(head, 0)
	d.start = int64(max(bytes.Index(head[:n], []byte("%PDF-")), 0))
	end := make([]byte, min(size, tailSize))
	n, _ = r.ReadAt(end, size-int64(len(end)))
	if i := bytes.LastIndex(end[:n], []byte("%%EOF")); i >= 0 {
		if stop := size - int64(len(end)) + int64(i) + int64(len("%%EOF")); stop > d.start {
			d.size = stop
		}
	}
	d.size -= d.start
	return d
}

// ReadAt reads from the document, with the header replaced.
func (d document) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= d.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > d.size-off
	if short {
		p = p[:d.size-off]
	}
	n, err := d.r.ReadAt(p, d.start+off)
	if off < int64(len(header)) {
		copy(p[:n], header[off:])
	}
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}
