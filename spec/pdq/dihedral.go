// SPDX-License-Identifier: Apache-2.0

package pdq

// The places of the eight copies in Dihedral, under the names of the published
// algorithm; seen by an eye, Rotate90 is a quarter turn anticlockwise.
const (
	Original = iota
	Rotate90
	Rotate180
	Rotate270
	FlipX
	FlipY
	FlipPlus1
	FlipMinus1
)

// Dihedral returns the hashes of the image turned and mirrored in all eight
// ways, the image itself first. Only signs and places of coefficients change,
// so the seven others cost one median each. A copy that was turned pixel by
// pixel may differ by some 20 bits: the filters treat the two ends unlike.
func (t *Transform) Dihedral() [8]Hash {
	var all [8]Hash
	for v := range all {
		c := t.turned(v)
		all[v] = threshold(&c)
	}
	return all
}

// turned moves the coefficients to those of copy v. Frequencies count from 1,
// so the odd ones have even indices: they change sign under a mirror.
func (t *Transform) turned(v int) (c [16][16]float32) {
	for i := range c {
		for j := range c[i] {
			x, y := i, j
			if v == Rotate90 || v == Rotate270 || v == FlipPlus1 || v == FlipMinus1 {
				x, y = j, i
			}
			c[x][y] = t.coefs[i][j]
			if negated(v, i, j) {
				c[x][y] = -c[x][y]
			}
		}
	}
	return c
}

func negated(v, i, j int) bool {
	switch v {
	case Rotate90, FlipY:
		return j%2 == 0
	case Rotate270, FlipX:
		return i%2 == 0
	case Rotate180, FlipMinus1:
		return (i+j)%2 == 1
	}
	return false
}
