// SPDX-License-Identifier: Apache-2.0

package pdq

import (
	"image"
	"image/color"
)

// Weights of red, green and blue in the luminance (ITU-R BT.601).
const (
	weightR float32 = 0.299
	weightG float32 = 0.587
	weightB float32 = 0.114
)

// rows yields the luminance of an image row by row.
type rows interface {
	// luma fills dst, as wide as the image, with row y.
	luma(dst []float32, y int)
}

// lumaOf is the luminance of one pixel. The products come from tables, so none
// can be fused with an addition.
func lumaOf(r, g, b uint8) float32 { return partR[r] + partG[g] + partB[b] }

var partR, partG, partB = products(weightR), products(weightG), products(weightB)

func products(weight float32) (p [256]float32) {
	for i := range p {
		p[i] = weight * float32(i)
	}
	return p
}

type lumaRows struct {
	luma_ []float32
	w     int
}

func (s lumaRows) luma(dst []float32, y int) { copy(dst, s.luma_[y*s.w:]) }

type rgbRows struct {
	k   *Kernel
	pix []byte
	w   int
}

func (s rgbRows) luma(dst []float32, y int) { s.k.rgb(dst, s.pix[3*s.w*y:]) }

// MaxSide is the longest side that is hashed at full size.
const MaxSide = 512

// Reduced returns the size at which an image of w by h pixels is hashed.
func Reduced(w, h int) (int, int) {
	if w > MaxSide || h > MaxSide {
		return MaxSide, MaxSide
	}
	return w, h
}

// Pick returns which of n pixels along a side pixel i of the m to hash is.
func Pick(i, n, m int) int { return int(int64(i) * int64(n) / int64(m)) }

// A grid says which pixel of an image each pixel to hash is taken from.
type grid struct {
	w, h int // of the raster to hash
	xs   []int
	ys   []int
}

// newGrid picks all pixels of b, or 512 by 512 of them by nearest neighbour
// (the first of each cell) when a side is longer than MaxSide.
func newGrid(b image.Rectangle) grid {
	w, h := Reduced(b.Dx(), b.Dy())
	return grid{w, h, picks(b.Min.X, b.Dx(), w), picks(b.Min.Y, b.Dy(), h)}
}

func picks(from, n, m int) []int {
	p := make([]int, m)
	for i := range p {
		p[i] = from + Pick(i, n, m)
	}
	return p
}

// rowsOf reads the luminance of img through g. Alpha is ignored, grey is taken
// as it is, 16-bit channels by their high byte.
func (k *Kernel) rowsOf(img image.Image, g grid) rows {
	switch m := img.(type) {
	case *image.NRGBA:
		return nrgbaRows{k, m, g}
	case *image.RGBA:
		if m.Opaque() {
			return nrgbaRows{k, &image.NRGBA{Pix: m.Pix, Stride: m.Stride, Rect: m.Rect}, g}
		}
	case *image.YCbCr:
		return ycbcrRows{m, g}
	case *image.NYCbCrA:
		return ycbcrRows{&m.YCbCr, g}
	case *image.Gray:
		return grayRows{m, g}
	case *image.Gray16:
		return gray16Rows{m, g}
	case *image.Paletted:
		return newPalettedRows(m, g)
	}
	return anyRows{img, g}
}

type nrgbaRows struct {
	k   *Kernel
	img *image.NRGBA
	g   grid
}

func (s nrgbaRows) luma(dst []float32, y int) {
	row := s.img.Pix[s.img.PixOffset(s.img.Rect.Min.X, s.g.ys[y]):]
	if len(dst) == s.img.Rect.Dx() {
		s.k.rgba(dst, row[:4*len(dst)])
		return
	}
	for x := range dst {
		p := row[4*(s.g.xs[x]-s.img.Rect.Min.X):][:3]
		dst[x] = lumaOf(p[0], p[1], p[2])
	}
}

type ycbcrRows struct {
	img *image.YCbCr
	g   grid
}

func (s ycbcrRows) luma(dst []float32, y int) {
	for x := range dst {
		yi, ci := s.img.YOffset(s.g.xs[x], s.g.ys[y]), s.img.COffset(s.g.xs[x], s.g.ys[y])
		dst[x] = lumaOf(color.YCbCrToRGB(s.img.Y[yi], s.img.Cb[ci], s.img.Cr[ci]))
	}
}

type grayRows struct {
	img *image.Gray
	g   grid
}

func (s grayRows) luma(dst []float32, y int) {
	row := s.img.Pix[s.img.PixOffset(s.img.Rect.Min.X, s.g.ys[y]):]
	for x := range dst {
		dst[x] = float32(row[s.g.xs[x]-s.img.Rect.Min.X])
	}
}

type gray16Rows struct {
	img *image.Gray16
	g   grid
}

func (s gray16Rows) luma(dst []float32, y int) {
	for x := range dst {
		dst[x] = float32(s.img.Pix[s.img.PixOffset(s.g.xs[x], s.g.ys[y])])
	}
}

type palettedRows struct {
	img     *image.Paletted
	g       grid
	palette [256]float32
}

func newPalettedRows(m *image.Paletted, g grid) *palettedRows {
	s := &palettedRows{img: m, g: g}
	for i, c := range m.Palette {
		if i < len(s.palette) {
			s.palette[i] = lumaOfColor(c)
		}
	}
	return s
}

func (s *palettedRows) luma(dst []float32, y int) {
	row := s.img.Pix[s.img.PixOffset(s.img.Rect.Min.X, s.g.ys[y]):]
	for x := range dst {
		dst[x] = s.palette[row[s.g.xs[x]-s.img.Rect.Min.X]]
	}
}

type anyRows struct {
	img image.Image
	g   grid
}

func (s anyRows) luma(dst []float32, y int) {
	for x := range dst {
		dst[x] = lumaOfColor(s.img.At(s.g.xs[x], s.g.ys[y]))
	}
}

func lumaOfColor(c color.Color) float32 {
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	return lumaOf(n.R, n.G, n.B)
}
