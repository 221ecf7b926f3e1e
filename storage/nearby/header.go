// SPDX-License-Identifier: Apache-2.0

package nearby

// A header says where a bucket's block is: the first unit in the upper 24
// bits, a size code in the lower 8. Four bytes keep the headers of all bands
// in 4 MiB, which a processor's cache holds.
type header uint32

const (
	exactSizes = 128 // codes up to here are the number of units itself
	maxUnits   = 1 << 24
)

// unitsOf maps a size code to units: exact up to 128, then steps of 8 %, far
// enough for a block that holds a whole segment.
var unitsOf = func() (t [256]uint32) {
	for c := range t {
		if c <= exactSizes {
			t[c] = uint32(c)
		} else {
			t[c] = t[c-1] + t[c-1]*2/25
		}
	}
	return t
}()

func newHeader(unit uint32, code uint8) header { return header(unit<<8 | uint32(code)) }

func (h header) unit() uint32  { return uint32(h >> 8) }
func (h header) units() uint32 { return unitsOf[uint8(h)] }
func (h header) code() uint8   { return uint8(h) }

// codeFor returns the smallest size that has at least units.
func codeFor(units uint32) uint8 {
	if units <= exactSizes {
		return uint8(units)
	}
	c := exactSizes
	for unitsOf[c] < units {
		c++
	}
	return uint8(c)
}

// larger returns the size that a full block of size code grows to.
func larger(code uint8) uint8 {
	u := unitsOf[code]
	return codeFor(u + max(1, u/16))
}
