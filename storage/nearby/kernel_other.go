// SPDX-License-Identifier: Apache-2.0

//go:build !amd64

package nearby

import "unsafe"

var kernels = []kernel{goKernel}

func (s *segment) prefetch(*row) {}

func prefetchLine(unsafe.Pointer) {}
