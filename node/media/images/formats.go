// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
)

// A format is one kind of file and what its decoder needs.
type format struct {
	claim  func(head []byte) bool
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	// memory is the most bytes that decoding allocates for samples. It may
	// refuse a file for what its header does not tell the decoder.
	memory func(src extract.Source, c image.Config) (int64, error)
}

var formats = map[string]format{
	"png":  {prefix("\x89PNG\r\n\x1a\n"), png.DecodeConfig, png.Decode, pngMemory},
	"jpeg": {prefix("\xff\xd8\xff"), jpeg.DecodeConfig, jpeg.Decode, jpegMemory},
	"gif":  {claimGIF, gif.DecodeConfig, gif.Decode, perPixel(1)},
	"webp": {claimWebP, webp.DecodeConfig, decodeWebP, webpMemory},
	"bmp":  {claimBMP, bmp.DecodeConfig, bmp.Decode, modelMemory(1)},
	"tiff": {claimTIFF, tiff.DecodeConfig, tiff.Decode, modelMemory(2)},
}

func prefix(s string) func([]byte) bool {
	return func(head []byte) bool { return bytes.HasPrefix(head, []byte(s)) }
}

func claimGIF(head []byte) bool { return prefix("GIF87a")(head) || prefix("GIF89a")(head) }

func claimTIFF(head []byte) bool { return prefix("II*\x00")(head) || prefix("MM\x00*")(head) }

func claimWebP(head []byte) bool {
	return len(head) >= 12 && prefix("RIFF")(head) && string(head[8:12]) == "WEBP"
}

// claimBMP also looks at the size of the second header: two letters are little.
func claimBMP(head []byte) bool {
	if len(head) < 18 || !prefix("BM")(head) || head[15]|head[16]|head[17] != 0 {
		return false
	}
	return bytes.IndexByte([]byte{12, 16, 40, 52, 56, 64, 108, 124}, head[14]) >= 0
}

// check refuses by the header what exceeds the limits.
func (f format) check(ctx context.Context, src extract.Source, lim extract.Limits) error {
	c, err := f.config(reader(ctx, src))
	if err != nil {
		return decodeError(ctx, err)
	}
	if c.Width <= 0 || c.Height <= 0 {
		return spec.Errorf(spec.CodeMalformed, "the image declares no pixels")
	}
	if c.Width > lim.MaxSide || c.Height > lim.MaxSide {
		return spec.Errorf(spec.CodeTooLarge, "a side of the image has more than %d pixels", lim.MaxSide)
	}
	if c.Width > lim.MaxPixels/c.Height {
		return spec.Errorf(spec.CodeTooLarge, "the image has more than %d pixels", lim.MaxPixels)
	}
	need, err := f.memory(src, c)
	if err != nil {
		return err
	}
	if need > lim.DecodeBytes {
		return spec.Errorf(spec.CodeTooLarge, "decoding the image takes more than %d bytes", lim.DecodeBytes)
	}
	return nil
}

func perPixel(n int64) func(extract.Source, image.Config) (int64, error) {
	return func(_ extract.Source, c image.Config) (int64, error) {
		return n * int64(c.Width) * int64(c.Height), nil
	}
}

// modelMemory counts the samples of the colour model times copies.
func modelMemory(copies int64) func(extract.Source, image.Config) (int64, error) {
	return func(src extract.Source, c image.Config) (int64, error) {
		return perPixel(copies*sampleBytes(c.ColorModel))(src, c)
	}
}

func sampleBytes(m color.Model) int64 {
	if _, ok := m.(color.Palette); ok {
		return 1
	}
	switch m {
	case color.GrayModel:
		return 1
	case color.Gray16Model:
		return 2
	case color.RGBA64Model, color.NRGBA64Model:
		return 8
	}
	return 4
}

// pngMemory adds the passes of an interlaced image, the last of which holds
// half of the pixels.
func pngMemory(src extract.Source, c image.Config) (int64, error) {
	n, err := modelMemory(2)(src, c)
	var header [29]byte
	if _, e := src.File.ReadAt(header[:], 0); e != nil || header[28] == 0 {
		return n / 2, err
	}
	return n * 3 / 4, err
}

// decodeError gives a decoder's error its code.
func decodeError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return spec.Errorf(extract.CodeTimeout, "decoding took too long")
	}
	var coded *spec.Error
	if errors.As(err, &coded) {
		return coded
	}
	if err == png.UnsupportedError("dimension overflow") {
		return spec.Errorf(spec.CodeTooLarge, "the image has more pixels than can be counted")
	}
	if unsupported(err) {
		return spec.Errorf(spec.CodeUnsupported, "no decoder reads this variant of the format: %w", err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return spec.Errorf(spec.CodeMalformed, "the image ends early")
	}
	return spec.Errorf(spec.CodeMalformed, "the image is damaged: %w", err)
}

func unsupported(err error) bool {
	var j jpeg.UnsupportedError
	var p png.UnsupportedError
	var t tiff.UnsupportedError
	return errors.As(err, &j) || errors.As(err, &p) || errors.As(err, &t) || errors.Is(err, bmp.ErrUnsupported)
}
