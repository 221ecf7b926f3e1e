// SPDX-License-Identifier: Apache-2.0

//go:build !race

package exact

import "golang.org/x/sys/cpu"

// wide says that lookWide is used.
var wide = cpu.X86.HasAVX2 && cpu.X86.HasBMI2 && cpu.X86.HasLZCNT

// lookWide looks into the one bucket where a key belongs, and says lookAbsent,
// lookFound or lookFurther.
//
//go:noescape
func lookWide(t *Table, key *[32]byte) (said uint64)
