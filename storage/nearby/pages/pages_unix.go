// SPDX-License-Identifier: Apache-2.0

//go:build unix && !race

package pages

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Lazy says that memory which is reserved and not touched costs nothing, so
// that reserving for the largest size is fine.
const Lazy = true

const hugePage = 2 << 20

func reserve(size int) (*Area, error) {
	whole, err := unix.Mmap(-1, 0, size+hugePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|noReserve)
	if err != nil {
		return nil, fmt.Errorf("reserving %d bytes of memory: %w", size, err)
	}
	start := -uintptr(unsafe.Pointer(&whole[0])) % hugePage
	return &Area{
		bytes: whole[start : start+uintptr(size) : start+uintptr(size)],
		free:  func() error { return unix.Munmap(whole) },
	}, nil
}
