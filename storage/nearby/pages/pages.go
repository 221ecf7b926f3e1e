// SPDX-License-Identifier: Apache-2.0

// Package pages reserves large ranges of memory outside the garbage-collected
// heap. A range is backed only where it is touched, never moves, and uses huge
// pages where the system has them: random access to gigabytes is bound by
// address translation otherwise.
package pages

import "unsafe"

// Area is a reserved range of zeroed memory. Who reserved it frees it, once
// nothing reads it any more.
type Area struct {
	bytes []byte
	free  func() error
}

// Reserve reserves size bytes, aligned to a cache line at least.
func Reserve(size int) (*Area, error) { return reserve(size) }

// Huge asks for huge pages from here on. It is advice: where the system
// refuses, the area works as before.
func (a *Area) Huge() { advise(a.bytes) }

// Len returns the size in bytes.
func (a *Area) Len() int { return len(a.bytes) }

// Free gives the memory back. Every view of the area is invalid afterwards.
func (a *Area) Free() error {
	if a == nil || a.free == nil {
		return nil
	}
	free := a.free
	a.bytes, a.free = nil, nil
	return free()
}

// View shows the area as a slice of T, which must hold no pointers.
func View[T any](a *Area) []T {
	var t T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(a.bytes))), len(a.bytes)/int(unsafe.Sizeof(t)))
}
