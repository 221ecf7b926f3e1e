// SPDX-License-Identifier: Apache-2.0

package program

import "bytes"

// tail keeps the first bytes of what a program says on standard error. They
// tell causes apart and are not shown: they may hold parts of the file.
type tail struct{ buf bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	t.buf.Write(p[:min(len(p), max(0, 8192-t.buf.Len()))])
	return len(p), nil
}

func (t *tail) has(s string) bool { return bytes.Contains(t.buf.Bytes(), []byte(s)) }

// line returns the first line; the program was not started yet when it is shown.
func (t *tail) line() string {
	l, _, _ := bytes.Cut(t.buf.Bytes(), []byte("\n"))
	return string(l)
}
