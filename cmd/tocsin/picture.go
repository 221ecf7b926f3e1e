// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"

	"golang.org/x/image/draw"
)

// picture paints overlapping discs: harmless, and different for every seed.
func picture(seed uint64) image.Image {
	const size = 480
	r := rand.New(rand.NewPCG(seed, 0x746f6373696e))
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	draw.Draw(img, img.Bounds(), image.NewUniform(color.Gray{Y: 230}), image.Point{}, draw.Src)
	for range 60 {
		disc(img, r.IntN(size), r.IntN(size), 15+r.IntN(75), color.RGBA{
			R: uint8(r.IntN(256)), G: uint8(r.IntN(256)), B: uint8(r.IntN(256)), A: 255,
		})
	}
	return img
}

func disc(img *image.RGBA, cx, cy, radius int, c color.RGBA) {
	for y := cy - radius; y <= cy+radius; y++ {
		for x := cx - radius; x <= cx+radius; x++ {
			if (x-cx)*(x-cx)+(y-cy)*(y-cy) <= radius*radius && image.Pt(x, y).In(img.Rect) {
				img.SetRGBA(x, y, c)
			}
		}
	}
}

// compressed encodes a picture at a JPEG quality from 1 to 100, scaled to a width
// and height in pixels.
func compressed(src image.Image, width, height, quality int) ([]byte, error) {
	dst := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.CatmullRom.Scale(dst, dst.Bounds(), src, src.Bounds(), draw.Src, nil)
	var b bytes.Buffer
	err := jpeg.Encode(&b, dst, &jpeg.Options{Quality: quality})
	return b.Bytes(), err
}
