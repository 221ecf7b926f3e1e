// SPDX-License-Identifier: Apache-2.0

//go:build linux

package harness

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What happens to a file of a directory, for Watch.
const (
	Made    = syscall.IN_CREATE | syscall.IN_MOVED_TO
	Written = syscall.IN_MODIFY
	Removed = syscall.IN_DELETE
)

// A Watch sees what a process does to the files of one directory, as it does it.
type Watch struct{ f *os.File }

// NewWatch begins to watch a directory, which exists.
func NewWatch(t testing.TB, dir string) *Watch {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err == nil {
		_, err = syscall.InotifyAddWatch(fd, dir, Made|Written|Removed)
	}
	if err != nil {
		t.Fatalf("watching %s: %v", dir, err)
	}
	w := &Watch{os.NewFile(uintptr(fd), "watch")}
	t.Cleanup(func() { w.f.Close() })
	return w
}

// Await returns once what was waited for happened to a file whose name begins with
// prefix; false: not in time.
func (w *Watch) Await(what uint32, prefix string, limit time.Duration) bool {
	defer w.f.Close()
	b := make([]byte, 64<<10)
	if w.f.SetReadDeadline(time.Now().Add(limit)) != nil {
		return false
	}
	for {
		n, err := w.f.Read(b)
		if err != nil {
			return false
		}
		for e := b[:n]; len(e) >= syscall.SizeofInotifyEvent; {
			mask, size := binary.NativeEndian.Uint32(e[4:]), binary.NativeEndian.Uint32(e[12:])
			name := string(bytes.TrimRight(e[syscall.SizeofInotifyEvent:][:size], "\x00"))
			if mask&what != 0 && strings.HasPrefix(name, prefix) {
				return true
			}
			e = e[syscall.SizeofInotifyEvent+int(size):]
		}
	}
}
