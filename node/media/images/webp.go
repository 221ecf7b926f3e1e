// SPDX-License-Identifier: Apache-2.0

package images

import (
	"image"
	"io"

	"golang.org/x/image/webp"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
)

// webpMemory allows for the transforms of a lossless image, which work on a
// copy. Animations are refused: the decoder reads still images only.
func webpMemory(src extract.Source, c image.Config) (int64, error) {
	if err := stillWebP(src); err != nil {
		return 0, err
	}
	return perPixel(8)(src, c)
}

// decodeWebP widens the samples of a lossy image: VP8 keeps luminance within
// 16..235 (RFC 6386, section 9.2), the image package expects 0..255.
func decodeWebP(r io.Reader) (image.Image, error) {
	img, err := webp.Decode(r)
	switch m := img.(type) {
	case *image.YCbCr:
		widen(m)
	case *image.NYCbCrA:
		widen(&m.YCbCr)
	}
	return img, err
}

func widen(m *image.YCbCr) {
	var y, c [256]byte
	for i := range 256 {
		y[i] = scaled(i-16, 219, 0)
		c[i] = scaled(i-128, 224, 128)
	}
	through(&y, m.Y)
	through(&c, m.Cb)
	through(&c, m.Cr)
}

// scaled is v*255/span rounded to nearest, plus offset, within 0..255.
func scaled(v, span, offset int) byte {
	n := (2*(v+span)*255 + span) / (2 * span) // v+span is never negative
	return byte(min(max(n-255+offset, 0), 255))
}

func through(table *[256]byte, samples []byte) {
	for i, s := range samples {
		samples[i] = table[s]
	}
}

// stillWebP refuses the animations that the extended header announces.
func stillWebP(src extract.Source) error {
	var h [21]byte
	if _, err := src.File.ReadAt(h[:], 0); err == nil && string(h[12:16]) == "VP8X" && h[20]&2 != 0 {
		return spec.Errorf(spec.CodeUnsupported, "no decoder reads animated WebP")
	}
	return nil
}
