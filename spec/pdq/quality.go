// SPDX-License-Identifier: Apache-2.0

package pdq

// quality sums the differences of neighbouring samples, each in whole percent
// of the full range with the fraction dropped, and scales the sum to 0..100.
func quality(a *[side][side]float32) int {
	sum := 0
	for y := range side {
		for x := range side {
			if y+1 < side {
				sum += gradient(a[y][x], a[y+1][x])
			}
			if x+1 < side {
				sum += gradient(a[y][x], a[y][x+1])
			}
		}
	}
	return min(sum/90, 100)
}

func gradient(u, v float32) int {
	d := int(float32((u-v)*100) / 255)
	return max(d, -d)
}
