// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"image/color"
	"image/png"
	"testing"

	"github.com/tocsin-db/tocsin/node/media/internal/corpus"
)

func seed(t *testing.T, name string) []byte {
	t.Helper()
	for _, s := range corpus.Seeds() {
		if s.Name == name {
			return s.Data
		}
	}
	t.Fatalf("no seed %s", name)
	return nil
}

// The seed was made from the PNG of the same picture; what lossy compression
// leaves of it must lie in the same range, black and white included.
func TestLossyWebPHasTheRangeOfItsOriginal(t *testing.T) {
	want, err := png.Decode(bytes.NewReader(seed(t, "rgb.png")))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeWebP(bytes.NewReader(seed(t, "lossy.webp")))
	if err != nil {
		t.Fatal(err)
	}
	var squared, n float64
	b := want.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			a := float64(color.GrayModel.Convert(want.At(x, y)).(color.Gray).Y)
			g := float64(color.GrayModel.Convert(got.At(x, y)).(color.Gray).Y)
			squared += (a - g) * (a - g)
			n++
		}
	}
	if mean := squared / n; mean > 30 {
		t.Errorf("the mean squared difference of the luminance is %.1f", mean)
	}
}

func TestScaledReachesBothEnds(t *testing.T) {
	for _, c := range []struct{ v, span, offset, want int }{
		{0, 219, 0, 0}, {219, 219, 0, 255}, {-16, 219, 0, 0}, {239, 219, 0, 255}, {110, 219, 0, 128},
		{0, 224, 128, 128}, {-112, 224, 128, 1}, {-128, 224, 128, 0}, {112, 224, 128, 255},
	} {
		if got := scaled(c.v, c.span, c.offset); int(got) != c.want {
			t.Errorf("scaled(%d, %d, %d) = %d, want %d", c.v, c.span, c.offset, got, c.want)
		}
	}
}
