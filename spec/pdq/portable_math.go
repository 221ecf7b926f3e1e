// SPDX-License-Identifier: Apache-2.0

package pdq

func gradientsGo(a, b []float32) int {
	n := 0
	for i := range a {
		n += gradient(a[i], b[i])
	}
	return n
}

func dctGo(out *[16][16]float32, half *[16][side]float32, a *[side * side]float32) {
	for i := range half {
		sum := &half[i]
		clear(sum[:])
		for k := range side {
			d, row := basis[i][k], a[k*side:][:side]
			for j := range sum {
				sum[j] += float32(d * row[j])
			}
		}
	}
	for i := range out {
		sum := &out[i]
		clear(sum[:])
		for k := range side {
			h, d := half[i][k], &basisTurned[k]
			for j := range sum {
				sum[j] += float32(h * d[j])
			}
		}
	}
}

func rgbGo(dst []float32, pix []byte) {
	for x := range dst {
		p := pix[3*x:][:3]
		dst[x] = lumaOf(p[0], p[1], p[2])
	}
}

func rgbaGo(dst []float32, pix []byte) {
	for x := range dst {
		p := pix[4*x:][:3]
		dst[x] = lumaOf(p[0], p[1], p[2])
	}
}
