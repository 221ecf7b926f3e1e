// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"bytes"
	"hash/maphash"
	"math/bits"
)

// distinct finds out whether signals of a list are the same, without an allocation for
// each: proposals have many, and every node asks. It is a table with open addressing of
// places in the list, from 1 on; what the seed is changes only how long it takes.
type distinct struct {
	signals []Opened
	slots   []uint16
}

var distinctSeed = maphash.MakeSeed()

func newDistinct(signals []Opened) *distinct {
	return &distinct{signals, make([]uint16, 2<<bits.Len(uint(len(signals))))}
}

// add takes the signal at a place below 1<<16, and reports whether none that was added
// before has its type and value.
func (d *distinct) add(at int) bool {
	s := &d.signals[at].Signal
	mask := len(d.slots) - 1
	i := int(maphash.Bytes(distinctSeed, s.Value)) & mask
	for ; d.slots[i] != 0; i = (i + 1) & mask {
		if o := &d.signals[d.slots[i]-1].Signal; o.Type == s.Type && bytes.Equal(o.Value, s.Value) {
			return false
		}
	}
	d.slots[i] = uint16(at + 1)
	return true
}
