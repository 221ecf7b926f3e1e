// SPDX-License-Identifier: Apache-2.0

package pdq_test

import (
	"image"
	"image/color"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/pdq"
)

// turn builds each of the eight copies pixel by pixel.
func turn(m image.Image, v int) image.Image {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	if v == pdq.Rotate90 || v == pdq.Rotate270 || v == pdq.FlipPlus1 || v == pdq.FlipMinus1 {
		out = image.NewNRGBA(image.Rect(0, 0, h, w))
	}
	for y := range h {
		for x := range w {
			c := m.At(b.Min.X+x, b.Min.Y+y)
			to := map[int][2]int{
				pdq.Original: {x, y}, pdq.Rotate90: {y, w - 1 - x}, pdq.Rotate180: {w - 1 - x, h - 1 - y},
				pdq.Rotate270: {h - 1 - y, x}, pdq.FlipX: {x, h - 1 - y}, pdq.FlipY: {w - 1 - x, y},
				pdq.FlipPlus1: {y, x}, pdq.FlipMinus1: {h - 1 - y, w - 1 - x},
			}[v]
			out.Set(to[0], to[1], c)
		}
	}
	return out
}

func TestDihedralIsNearTheTurnedImages(t *testing.T) {
	for file, limit := range map[string]int{"exact/bridge-5-flipx-64x64.png": 0, "exact/c-500x333.png": 24, "exact/exif-rotn-1-512x512.png": 24} {
		img := load(t, file)
		tr, err := pdq.TransformImage(img)
		if err != nil {
			t.Fatal(err)
		}
		all := tr.Dihedral()
		if all[pdq.Original] != tr.Hash() {
			t.Errorf("%s: the original is not the hash", file)
		}
		for v, h := range all {
			got, _, err := pdq.FromImage(turn(img, v))
			if err != nil {
				t.Fatal(err)
			}
			if d := pdq.Distance(got, h); d > limit {
				t.Errorf("%s: copy %d is %d bits from the turned image", file, v, d)
			}
		}
	}
}

// generic hides the concrete type of an image.
type generic struct{ image.Image }

func TestEveryRasterTypeHashesAlike(t *testing.T) {
	src := load(t, "exact/sharpen-a-lot-301x200.png")
	b := image.Rect(-7, 3, -7+301, 3+200)
	nrgba, rgba, gray, gray16 := image.NewNRGBA(b), image.NewRGBA(b), image.NewGray(b), image.NewGray16(b)
	deep := image.NewNRGBA64(b)
	var packed []byte
	var luma []float32
	for y := range 200 {
		for x := range 301 {
			c := color.NRGBAModel.Convert(src.At(x, y)).(color.NRGBA)
			rgba.Set(x-7, y+3, c)
			deep.Set(x-7, y+3, c)
			c.A = byte(x) // alpha must not matter
			nrgba.SetNRGBA(x-7, y+3, c)
			gray.SetGray(x-7, y+3, color.Gray{c.G})
			gray16.SetGray16(x-7, y+3, color.Gray16{uint16(c.G)<<8 | 0x5a})
			packed = append(packed, c.R, c.G, c.B)
			luma = append(luma, float32(c.G))
		}
	}
	want, q, err := pdq.FromImage(src)
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]image.Image{"nrgba": nrgba, "rgba": rgba, "any": generic{nrgba}, "nrgba64": deep} {
		if h, got, err := pdq.FromImage(m); h != want || got != q || err != nil {
			t.Errorf("%s: %d bits away, %v", name, pdq.Distance(h, want), err)
		}
	}
	if h, got, err := pdq.FromRGB(packed, 301, 200); h != want || got != q || err != nil {
		t.Errorf("rgb: %d bits away, %v", pdq.Distance(h, want), err)
	}
	want, q, err = pdq.FromLuma(luma, 301, 200)
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]image.Image{"gray": gray, "gray16": gray16} {
		if h, got, err := pdq.FromImage(m); h != want || got != q || err != nil {
			t.Errorf("%s: %d bits away, %v", name, pdq.Distance(h, want), err)
		}
	}
}

func TestALongSideIsSampledTo512(t *testing.T) {
	big := image.NewNRGBA(image.Rect(0, 0, 1030, 77))
	small := image.NewNRGBA(image.Rect(0, 0, 512, 512))
	for y := range 77 {
		for x := range 1030 {
			big.SetNRGBA(x, y, color.NRGBA{byte(x * y), byte(x / 4), byte(y*3 + x), 255})
		}
	}
	for y := range 512 {
		for x := range 512 {
			small.SetNRGBA(x, y, big.NRGBAAt(x*1030/512, y*77/512))
		}
	}
	a, qa, errA := pdq.FromImage(big)
	b, qb, errB := pdq.FromImage(small)
	if a != b || qa != qb || errA != nil || errB != nil {
		t.Fatalf("%d bits apart, quality %d and %d, %v %v", pdq.Distance(a, b), qa, qb, errA, errB)
	}
}

func TestTinyImagesHaveTheZeroHash(t *testing.T) {
	for _, s := range []struct{ w, h int }{{4, 400}, {400, 4}, {1, 1}} {
		luma := make([]float32, s.w*s.h)
		for i := range luma {
			luma[i] = float32(i % 251)
		}
		h, q, err := pdq.FromLuma(luma, s.w, s.h)
		if h != (pdq.Hash{}) || q != 0 || err != nil {
			t.Errorf("%v: %v %d %v", s, h, q, err)
		}
	}
	luma := make([]float32, 25)
	luma[3] = 255
	if h, _, err := pdq.FromLuma(luma, 5, 5); h == (pdq.Hash{}) || err != nil {
		t.Errorf("5 by 5 must have a hash: %v %v", h, err)
	}
}

func TestRastersOfTheWrongLengthAreRefused(t *testing.T) {
	for _, s := range []struct{ n, w, h int }{{99, 10, 10}, {101, 10, 10}, {0, 0, 0}, {100, -10, -10}, {0, 1 << 33, 1 << 31}} {
		if _, _, err := pdq.FromLuma(make([]float32, s.n), s.w, s.h); spec.CodeOf(err) != spec.CodeMalformed {
			t.Errorf("%v: %v", s, err)
		}
	}
	if _, _, err := pdq.FromRGB(make([]byte, 100), 10, 10); spec.CodeOf(err) != spec.CodeMalformed {
		t.Error(err)
	}
	if _, _, err := pdq.FromImage(image.NewGray(image.Rectangle{})); spec.CodeOf(err) != spec.CodeMalformed {
		t.Error(err)
	}
}
