// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/gif"
	"io"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/pdq"
)

// A canvas is what an animation shows, only at the pixels that are hashed.
type canvas struct {
	w, h       int // of the screen
	cols, rows int // of the samples
	pix        []byte
}

func newCanvas(w, h int) *canvas {
	c := &canvas{w: w, h: h}
	c.cols, c.rows = pdq.Reduced(w, h)
	c.pix = make([]byte, 3*c.cols*c.rows)
	return c
}

// each calls paint for the samples that lie within r.
func (c *canvas) each(r image.Rectangle, paint func(x, y int, pix []byte)) {
	for row := range c.rows {
		y := pdq.Pick(row, c.h, c.rows)
		if y < r.Min.Y || y >= r.Max.Y {
			continue
		}
		for col := range c.cols {
			if x := pdq.Pick(col, c.w, c.cols); x >= r.Min.X && x < r.Max.X {
				paint(x, y, c.pix[3*(row*c.cols+col):][:3])
			}
		}
	}
}

// draw paints a frame; transparent pixels show what was there before.
func (c *canvas) draw(m *image.Paletted) {
	var colours [256]color.NRGBA
	for i, p := range m.Palette {
		colours[i] = color.NRGBAModel.Convert(p).(color.NRGBA)
	}
	c.each(m.Rect, func(x, y int, pix []byte) {
		if k := colours[m.ColorIndexAt(x, y)]; k.A != 0 {
			pix[0], pix[1], pix[2] = k.R, k.G, k.B
		}
	})
}

func (c *canvas) erase(r image.Rectangle) {
	c.each(r, func(_, _ int, pix []byte) { clear(pix) })
}

// animation hashes the frames of a GIF as they are seen, each distinct hash
// once and the first frame's first. Frames beyond the limits, and those after
// damage, are reported as unsupported; a first frame that cannot be read is an
// error.
func animation(ctx context.Context, src extract.Source, lim extract.Limits) (extract.Result, error) {
	var r extract.Result
	err := eachFrame(ctx, src, lim, func(t pdq.Transform) {
		if !has(r.Dihedral, t.Hash()) {
			add(&r, t)
		}
	})
	if err == nil {
		return r, nil
	}
	if len(r.Signals) == 0 {
		return extract.Result{}, err
	}
	r.Unsupported = append(r.Unsupported, extract.Unsupported{Type: Type, Code: spec.CodeOf(err)})
	return r, nil
}

func has(all [][8]pdq.Hash, h pdq.Hash) bool {
	for _, d := range all {
		if d[pdq.Original] == h {
			return true
		}
	}
	return false
}

func eachFrame(ctx context.Context, src extract.Source, lim extract.Limits, emit func(pdq.Transform)) error {
	g, err := newGIFWalker(reader(ctx, src))
	if err != nil {
		return decodeError(ctx, err)
	}
	screen, pixels := newCanvas(g.w, g.h), 0
	for n := 0; ; n++ {
		f, err := g.next()
		if err == io.EOF && n > 0 {
			return nil
		}
		if err != nil {
			return decodeError(ctx, err)
		}
		if pixels += f.pixels; n == lim.MaxFrames || pixels > lim.TotalPixels {
			return spec.Errorf(spec.CodeTooLarge, "the animation has more frames than are hashed")
		}
		if err := showFrame(ctx, src, g, f, screen, emit); err != nil {
			return decodeError(ctx, err)
		}
	}
}

// showFrame decodes one frame on its own, hashes the screen and disposes of
// the frame as it asks.
func showFrame(ctx context.Context, src extract.Source, g *gifWalker, f gifFrame, screen *canvas, emit func(pdq.Transform)) error {
	img, err := gif.Decode(io.MultiReader(
		bytes.NewReader(g.header), bytes.NewReader(f.controlBlock()),
		io.NewSectionReader(src.File, f.from, f.to-f.from), bytes.NewReader([]byte{0x3b})))
	if err != nil {
		return err
	}
	var before []byte
	if f.disposal() == 3 {
		before = bytes.Clone(screen.pix)
	}
	m := img.(*image.Paletted)
	screen.draw(m)
	t, err := pdq.TransformRGB(screen.pix, screen.cols, screen.rows)
	if err != nil {
		return err
	}
	emit(t)
	switch f.disposal() {
	case 2:
		screen.erase(m.Rect)
	case 3:
		copy(screen.pix, before)
	}
	return ctx.Err()
}
