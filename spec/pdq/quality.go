// SPDX-License-Identifier: Apache-2.0

package pdq

// quality sums the differences of neighbouring samples, each in whole percent
// of the full range with the fraction dropped, and scales the sum to 0..100.
//
// Neighbours along a row are taken from the raster as one long line; the pairs
// that straddle two rows are then taken back.
func (k *Kernel) quality(a *[side*side + lane]float32) int {
	const n = side * side
	sum := k.gradients(a[:n-side], a[side:n]) + k.gradients(a[:n], a[1:n+1])
	for y := 1; y <= side; y++ {
		sum -= gradient(a[y*side-1], a[y*side])
	}
	return min(sum/90, 100)
}

func gradient(u, v float32) int {
	d := int(float32((u-v)*100) / 255)
	return max(d, -d)
}
