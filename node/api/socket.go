// SPDX-License-Identifier: Apache-2.0

package api

import (
	"crypto/rand"
	"errors"
	"net"
	"os"
	"path/filepath"

	"github.com/tocsin-db/tocsin/spec"
)

const (
	socketMode = 0o660
	maxSocket  = 107 // bytes of a socket's path, on Linux; others take a few less
)

// ErrRunning says that another process answers on the socket.
var ErrRunning = errors.New("a node is running")

// listenSocket opens the socket under another name and moves it into place once
// its mode is set: nobody can connect before, and the socket that a crash left
// is replaced.
func listenSocket(path string) (net.Listener, error) {
	if len(path) > maxSocket {
		return nil, spec.Errorf(spec.CodeConfig, "the path of the node's socket has %d bytes, more than the %d that a socket's can have: use a shorter data directory", len(path), maxSocket)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, spec.Errorf(spec.CodeUnavailable, "%w on %s already", ErrRunning, filepath.Dir(path))
	}
	hidden := filepath.Join(filepath.Dir(path), "."+rand.Text()[:8])
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, spec.Errorf(spec.CodeUnavailable, "opening the node's socket: %w", err)
	}
	err = os.Chmod(hidden, socketMode)
	if err == nil {
		err = os.Rename(hidden, path)
	}
	if err != nil {
		return nil, errors.Join(spec.Errorf(spec.CodeUnavailable, "opening the node's socket: %w", err), l.Close(), os.Remove(hidden))
	}
	return l, nil
}
