// SPDX-License-Identifier: Apache-2.0

package pdq

// kernel512 works on 16 samples at a time.
var kernel512 = Kernel{
	name: "avx512", shrink: vectors512.shrink, gradients: gradients512,
	dct: func(out *[16][16]float32, half *[16][side]float32, a *[side * side]float32) {
		dct512(out, half, &basis, &basisTurned, a)
	},
	rgb: rgb512, rgba: rgba512,
}

var vectors512 = &vectors{unit: 16, turn: turn512, run32: run32x512, run64: run64x512}

func gradients512(a, b []float32) int {
	var sums [16]int32
	gradientSums512(&sums, &a[0], &b[:len(a)][0], len(a))
	return total(sums[:])
}

func rgba512(dst []float32, pix []byte) {
	blocks := min(len(dst), len(pix)/4) / 16
	if blocks > 0 {
		lumaRGBA512(&dst[0], &pix[0], blocks)
	}
	rgbaGo(dst[16*blocks:], pix[64*blocks:])
}

// rgb512 leaves the last pixels to Go: a block reads 64 bytes and uses 48.
func rgb512(dst []float32, pix []byte) {
	blocks := max(0, min(len(dst)/16, (len(pix)-16)/48))
	if blocks > 0 {
		lumaRGB512(&dst[0], &pix[0], blocks)
	}
	rgbGo(dst[16*blocks:], pix[48*blocks:])
}

//go:noescape
func turn512(dst, src *float32, dstStride, srcStride, dstStep, srcStep, blocks int)

//go:noescape
func run32x512(dst, in, out, sum *float32, dstStride, stride, steps int, c, inv float32)

//go:noescape
func run64x512(dst, in, out, sum *float32, dstStride, stride, steps int, c, inv float32)

//go:noescape
func gradientSums512(sums *[16]int32, a, b *float32, n int)

//go:noescape
func dct512(out *[16][16]float32, half, basis *[16][64]float32, turned *[64][16]float32, a *[4096]float32)

//go:noescape
func lumaRGBA512(dst *float32, pix *byte, blocks int)

//go:noescape
func lumaRGB512(dst *float32, pix *byte, blocks int)
