// SPDX-License-Identifier: Apache-2.0

// Package plain computes PDQ as spec/pdq.md reads, one section after the other:
// no tiles, no vectors, no buffers kept. It shares nothing with package pdq, so
// that tests can hold the fast kernels to it and benchmarks can name what they
// gain.
package plain

import (
	"math"
	"sort"
)

// Weights of red, green and blue in the luminance.
const (
	red   float32 = 0.299
	green float32 = 0.587
	blue  float32 = 0.114
)

// Luma returns the luminance of pixels of three bytes.
func Luma(pix []byte) []float32 {
	out := make([]float32, len(pix)/3)
	for i := range out {
		r, g, b := float32(pix[3*i]), float32(pix[3*i+1]), float32(pix[3*i+2])
		out[i] = float32(float32(red*r)+float32(green*g)) + float32(blue*b)
	}
	return out
}

// Hash returns the coefficients, the hash and the quality of a w by h raster of
// luminance.
func Hash(luma []float32, w, h int) (coefs [16][16]float32, hash [32]byte, quality int) {
	if w < 5 || h < 5 {
		return coefs, hash, 0
	}
	a := append([]float32(nil), luma...)
	if w != 64 || h != 64 {
		for range 2 {
			for y := range h {
				box(a[y*w:], w, 1)
			}
			for x := range w {
				box(a[x:], h, w)
			}
		}
	}
	var small [64][64]float32
	for i := range small {
		for j := range small[i] {
			small[i][j] = a[(2*i+1)*h/128*w+(2*j+1)*w/128]
		}
	}
	coefs = transform(&small)
	return coefs, threshold(&coefs), qualityOf(&small)
}

// box filters n samples, step values apart, in place.
func box(v []float32, n, step int) {
	win := (n + 127) / 128
	half := (win + 2) / 2
	out := make([]float32, n)
	var sum float32
	held := 0
	for t := range n + half - 1 {
		if t < n {
			sum += v[t*step]
			held++
		}
		if t >= win {
			sum -= v[(t-win)*step]
			held--
		}
		if t >= half-1 {
			out[t-half+1] = sum / float32(held)
		}
	}
	for i, o := range out {
		v[i*step] = o
	}
}

func qualityOf(a *[64][64]float32) int {
	sum := 0
	pair := func(u, v float32) {
		d := int(float32(float32(u-v)*100) / 255)
		sum += int(math.Abs(float64(d)))
	}
	for i := range 64 {
		for j := range 64 {
			if i < 63 {
				pair(a[i][j], a[i+1][j])
			}
			if j < 63 {
				pair(a[i][j], a[i][j+1])
			}
		}
	}
	return min(100, sum/90)
}

func transform(a *[64][64]float32) (c [16][16]float32) {
	d := cosines()
	var t [16][64]float32
	for i := range t {
		for j := range t[i] {
			for k := range 64 {
				t[i][j] += float32(d[i][k] * a[k][j])
			}
		}
	}
	for i := range c {
		for j := range c[i] {
			for k := range 64 {
				c[i][j] += float32(t[i][k] * d[j][k])
			}
		}
	}
	return c
}

// cosines is the matrix of the text, from the cosine of the standard library.
func cosines() (d [16][64]float32) {
	scale := float32(math.Sqrt(2.0 / 64))
	for i := range d {
		for j := range d[i] {
			d[i][j] = float32(float64(scale) * math.Cos(math.Pi/128*float64((i+1)*(2*j+1))))
		}
	}
	return d
}

func threshold(c *[16][16]float32) (h [32]byte) {
	var all []float64
	for i := range c {
		for j := range c[i] {
			all = append(all, float64(c[i][j]))
		}
	}
	sorted := append([]float64(nil), all...)
	sort.Float64s(sorted)
	for k, v := range all {
		if v > sorted[127] {
			h[31-k/8] |= 1 << (k % 8)
		}
	}
	return h
}
