// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/pdq"
)

var wide = extract.Limits{MaxPixels: 50_000_000, MaxSide: 16384, MaxFrames: 1000, DecodeBytes: 224 << 20, TotalPixels: 100_000_000}

func source(t testing.TB, raw []byte, format string) extract.Source {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(raw); err != nil {
		t.Fatal(err)
	}
	return extract.Source{File: f, Size: int64(len(raw)), Format: format}
}

// frame paints a pattern; index 0 of its palette is transparent.
func frame(r image.Rectangle, seed int) *image.Paletted {
	p := color.Palette{color.RGBA{}}
	for i := range 40 {
		p = append(p, color.RGBA{byte(i * 6), byte(255 - i*5), byte(i * i), 255})
	}
	m := image.NewPaletted(r, p)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			m.SetColorIndex(x, y, uint8((x/7*seed+y/(4+seed))%len(p)))
		}
	}
	return m
}

// shown composes the animation with the image packages alone.
func shown(g *gif.GIF, w, h int) []image.Image {
	screen := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.Draw(screen, screen.Rect, image.Black, image.Point{}, draw.Src)
	var all []image.Image
	for i, m := range g.Image {
		before := &image.NRGBA{Pix: bytes.Clone(screen.Pix), Stride: screen.Stride, Rect: screen.Rect}
		draw.Draw(screen, m.Rect, m, m.Rect.Min, draw.Over)
		all = append(all, &image.NRGBA{Pix: bytes.Clone(screen.Pix), Stride: screen.Stride, Rect: screen.Rect})
		switch g.Disposal[i] {
		case gif.DisposalBackground:
			draw.Draw(screen, m.Rect, image.Black, image.Point{}, draw.Src)
		case gif.DisposalPrevious:
			screen = before
		}
	}
	return all
}

func animated(t testing.TB, w, h int) (*gif.GIF, []byte) {
	t.Helper()
	g := &gif.GIF{
		Image: []*image.Paletted{
			frame(image.Rect(0, 0, w, h), 1), frame(image.Rect(w/4, h/4, w*3/4, h), 2), frame(image.Rect(0, 0, w/2, h/2), 3),
			frame(image.Rect(w/3, 0, w, h/2), 5), frame(image.Rect(0, 0, w, h), 7),
		},
		Delay:    []int{0, 5, 5, 5, 0},
		Disposal: []byte{gif.DisposalNone, gif.DisposalPrevious, gif.DisposalBackground, 0, 0},
		Config:   image.Config{Width: w, Height: h},
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		t.Fatal(err)
	}
	return g, b.Bytes()
}

func TestFramesAreHashedAsTheyAreSeen(t *testing.T) {
	for _, size := range [][2]int{{300, 200}, {900, 700}} {
		g, raw := animated(t, size[0], size[1])
		r, err := Extractor{}.Extract(context.Background(), source(t, raw, "gif"), wide)
		if err != nil || len(r.Unsupported) != 0 {
			t.Fatalf("%v %v", err, r.Unsupported)
		}
		frames := shown(g, size[0], size[1])
		if len(r.Signals) != len(frames) {
			t.Fatalf("%d signals of %d frames", len(r.Signals), len(frames))
		}
		for i, f := range frames {
			h, q, err := pdq.FromImage(f)
			if err != nil {
				t.Fatal(err)
			}
			if s := r.Signals[i]; s.Value != h.String() || s.Quality != q {
				t.Errorf("%v: frame %d differs, quality %d want %d", size, i, s.Quality, q)
			}
		}
	}
}

func TestFramesBeyondTheLimitsAreReported(t *testing.T) {
	_, raw := animated(t, 300, 200)
	few, short := wide, wide
	few.MaxFrames = 3
	short.TotalPixels = 300 * 200 * 3 / 2
	for name, c := range map[string]struct {
		raw  []byte
		lim  extract.Limits
		n    int
		code spec.Code
	}{
		"frames": {raw, few, 3, spec.CodeTooLarge},
		"pixels": {raw, short, 2, spec.CodeTooLarge},
		"cut":    {raw[:len(raw)-400], wide, 4, spec.CodeMalformed},
	} {
		r, err := Extractor{}.Extract(context.Background(), source(t, c.raw, "gif"), c.lim)
		if err != nil || len(r.Signals) != c.n {
			t.Errorf("%s: %d signals, %v", name, len(r.Signals), err)
		}
		if len(r.Unsupported) != 1 || r.Unsupported[0] != (extract.Unsupported{Type: Type, Code: c.code}) {
			t.Errorf("%s: %v", name, r.Unsupported)
		}
	}
}

func TestEqualFramesAreOneSignal(t *testing.T) {
	g, _ := animated(t, 300, 200)
	g.Image = []*image.Paletted{g.Image[0], g.Image[0], g.Image[0]}
	g.Delay, g.Disposal = g.Delay[:3], []byte{0, 0, 0}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		t.Fatal(err)
	}
	r, err := Extractor{}.Extract(context.Background(), source(t, b.Bytes(), "gif"), wide)
	if err != nil || len(r.Signals) != 1 || len(r.Dihedral) != 1 {
		t.Fatalf("%v %d", err, len(r.Signals))
	}
}
