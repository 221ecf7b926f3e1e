// SPDX-License-Identifier: Apache-2.0

//go:build !unix || race

package pages

import "unsafe"

// Lazy is false where a reservation is paid for at once. The race detector
// sees the Go heap only, so race builds live there too.
const Lazy = false

func reserve(size int) (*Area, error) {
	words := make([]uint64, (size+63)/64*8+8)
	start := -uintptr(unsafe.Pointer(&words[0])) % 64
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)
	return &Area{bytes: b[start : start+uintptr(size) : start+uintptr(size)]}, nil
}

func advise([]byte) {}
