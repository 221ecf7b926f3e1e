// SPDX-License-Identifier: Apache-2.0

// Package fetch asks the processor for memory that will be used soon.
package fetch

import "unsafe"

// Line brings the cache line at p near. It never faults and changes nothing.
//
//go:noescape
func Line(p unsafe.Pointer)
