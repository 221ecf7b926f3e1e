// SPDX-License-Identifier: Apache-2.0

package nearby

import "testing"

// FuzzIndex reads a program: each 3 bytes add, remove or look up a hash. The
// hashes are near each other, so that there is always something to find; all
// kernels must answer like brute force.
func FuzzIndex(f *testing.F) {
	f.Add([]byte("add some, remove some, look some up"))
	f.Add([]byte{0, 0, 0, 64, 0, 0, 128, 0, 31, 192, 0, 31})
	f.Fuzz(func(t *testing.T, program []byte) {
		m := model{}
		var xs []*Index
		for _, k := range Kernels() {
			xs = append(xs, New(WithKernel(k), withRowCap(1<<12)))
		}
		for ; len(program) >= 3; program = program[3:] {
			op, a, b := program[0], program[1], program[2]
			h := hashFrom(a, b)
			switch op >> 6 {
			case 0, 1:
				m.add(h, uint64(op&3))
				for _, x := range xs {
					mustAdd(t, x, h, uint64(op&3))
				}
			case 2:
				there := m.remove(h, uint64(op&3))
				for _, x := range xs {
					if x.Remove(&h, uint64(op&3)) != there {
						t.Fatalf("%s: Remove disagrees", x.Kernel())
					}
				}
			default:
				for _, x := range xs {
					check(t, x, m, h, int(op&0x3f))
				}
			}
		}
	})
}

// hashFrom spreads two bytes over a hash: a chooses a stripe, b its bits.
func hashFrom(a, b byte) (h [32]byte) {
	for i := range h {
		if i%4 == int(a&3) {
			h[i] = b
		}
	}
	h[a>>3] ^= a
	return h
}

// FuzzBands checks that any two hashes keep their distance in bands.
func FuzzBands(f *testing.F) {
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 64 {
			return
		}
		a, b := [32]byte(data[:32]), [32]byte(data[32:64])
		ra, rb := fromHash(&a), fromHash(&b)
		if ra.hash() != a || ra.distance(&rb) != hamming(a, b) {
			t.Fatal("a row is not its hash")
		}
	})
}
