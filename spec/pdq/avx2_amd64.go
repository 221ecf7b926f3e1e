// SPDX-License-Identifier: Apache-2.0

package pdq

// kernel256 works on 8 samples at a time.
var kernel256 = Kernel{
	name: "avx2", shrink: vectors256.shrink, gradients: gradients256,
	dct: func(out *[16][16]float32, half *[16][side]float32, a *[side * side]float32) {
		dct256(out, half, &basis, &basisTurned, a)
	},
	rgb: rgb256, rgba: rgba256,
}

var vectors256 = &vectors{unit: 8, turn: turn256, run32: run32x256, run64: run64x256}

func gradients256(a, b []float32) int {
	var sums [8]int32
	gradientSums256(&sums, &a[0], &b[:len(a)][0], len(a))
	return total(sums[:])
}

func rgba256(dst []float32, pix []byte) {
	blocks := min(len(dst), len(pix)/4) / 8
	if blocks > 0 {
		lumaRGBA256(&dst[0], &pix[0], blocks)
	}
	rgbaGo(dst[8*blocks:], pix[32*blocks:])
}

// rgb256 leaves the last pixels to Go: a block reads 32 bytes and uses 24.
func rgb256(dst []float32, pix []byte) {
	blocks := max(0, min(len(dst)/8, (len(pix)-8)/24))
	if blocks > 0 {
		lumaRGB256(&dst[0], &pix[0], blocks)
	}
	rgbGo(dst[8*blocks:], pix[24*blocks:])
}

//go:noescape
func turn256(dst, src *float32, dstStride, srcStride, dstStep, srcStep, blocks int)

//go:noescape
func run32x256(dst, in, out, sum *float32, dstStride, stride, steps int, c, inv float32)

//go:noescape
func run64x256(dst, in, out, sum *float32, dstStride, stride, steps int, c, inv float32)

//go:noescape
func gradientSums256(sums *[8]int32, a, b *float32, n int)

//go:noescape
func dct256(out *[16][16]float32, half, basis *[16][64]float32, turned *[64][16]float32, a *[4096]float32)

//go:noescape
func lumaRGBA256(dst *float32, pix *byte, blocks int)

//go:noescape
func lumaRGB256(dst *float32, pix *byte, blocks int)
