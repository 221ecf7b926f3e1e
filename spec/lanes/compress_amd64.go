// SPDX-License-Identifier: Apache-2.0

package lanes

import "golang.org/x/sys/cpu"

var wide = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW

// compress continues the hashes in state, word by word and lane by lane, with
// blocks of 64 bytes. Lane i reads at data + offsets[i].
//
//go:noescape
func compress(state *[8][16]uint32, data *byte, offsets *[16]uint32, blocks int, k *[64]uint32)
