// SPDX-License-Identifier: Apache-2.0

package pdq

import (
	"math"
	"sort"
)

// plain computes the hash as spec/pdq.md reads, one section after the other and
// with nothing shared with the kernels but the constants of the text.
func plain(luma []float32, w, h int) (coefs [16][16]float32, hash Hash, quality int) {
	if w < 5 || h < 5 {
		return coefs, hash, 0
	}
	a := append([]float32(nil), luma...)
	if w != 64 || h != 64 {
		for range 2 {
			for y := range h {
				plainBox(a[y*w:], w, 1)
			}
			for x := range w {
				plainBox(a[x:], h, w)
			}
		}
	}
	var small [64][64]float32
	for i := range small {
		for j := range small[i] {
			small[i][j] = a[(2*i+1)*h/128*w+(2*j+1)*w/128]
		}
	}
	coefs = plainTransform(&small)
	return coefs, plainHash(&coefs), plainQuality(&small)
}

// plainBox filters n samples, step values apart, in place.
func plainBox(v []float32, n, step int) {
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

func plainQuality(a *[64][64]float32) int {
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

func plainTransform(a *[64][64]float32) (c [16][16]float32) {
	scale := float32(math.Sqrt(2.0 / 64))
	var d [16][64]float32
	for i := range d {
		for j := range d[i] {
			d[i][j] = float32(float64(scale) * math.Cos(math.Pi/128*float64((i+1)*(2*j+1))))
		}
	}
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

func plainHash(c *[16][16]float32) (h Hash) {
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
