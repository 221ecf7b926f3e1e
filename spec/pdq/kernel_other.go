// SPDX-License-Identifier: Apache-2.0

//go:build !amd64

package pdq

func nativeKernels() []*Kernel { return nil }
