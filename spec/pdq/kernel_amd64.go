// SPDX-License-Identifier: Apache-2.0

package pdq

import "golang.org/x/sys/cpu"

func nativeKernels() []*Kernel {
	var all []*Kernel
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ {
		all = append(all, &kernel512)
	}
	if cpu.X86.HasAVX2 {
		all = append(all, &kernel256)
	}
	return all
}
