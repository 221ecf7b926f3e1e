// SPDX-License-Identifier: Apache-2.0

package pdq

import (
	"fmt"
	"image"
	"math/rand/v2"
	"testing"

	"github.com/tocsin-db/tocsin/spec/pdq/internal/plain"
)

// raster paints one of several kinds of images: noise, one colour (whose hash
// is rounding noise), ramps, blocks and an edge.
func raster(r *rand.Rand, kind, w, h int) []byte {
	pix := make([]byte, 3*w*h)
	base, step := r.IntN(256), 1+r.IntN(60)
	for i := range pix {
		x, y, c := i/3%w, i/3/w, i%3
		v := base
		switch kind % 5 {
		case 0:
			v = r.IntN(256)
		case 2:
			v = x*255/w + y*c
		case 3:
			v = base ^ (x/step^y/step)&1*0x70 + r.IntN(3)
		case 4:
			if x > w/2 {
				v = 255
			}
		}
		pix[i] = byte(v)
	}
	return pix
}

// sizes has every residue that the kernels treat apart, and sides beyond 512.
func sizes(r *rand.Rand) [][2]int {
	all := [][2]int{
		{5, 5}, {4, 9}, {64, 64}, {64, 65}, {63, 64}, {128, 128}, {129, 127}, {256, 256}, {384, 385},
		{512, 512}, {511, 512}, {512, 511}, {510, 64}, {31, 500}, {1030, 17}, {9, 1300}, {700, 650},
	}
	for range 60 {
		all = append(all, [2]int{5 + r.IntN(300), 5 + r.IntN(300)})
	}
	return all
}

func TestEveryKernelReturnsTheSameBits(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for i, s := range sizes(r) {
		pix := raster(r, i, s[0], s[1])
		coefs, hash, quality := plain.Hash(plain.Luma(pix), s[0], s[1])
		for _, k := range Kernels() {
			got, err := k.TransformRGB(pix, s[0], s[1])
			if err != nil {
				t.Fatal(err)
			}
			if got.coefs != coefs || got.Hash() != Hash(hash) || got.Quality() != quality {
				t.Errorf("%s, %v, kind %d: %d bits away, quality %d want %d", k.name, s, i%5, Distance(got.Hash(), Hash(hash)), got.quality, quality)
			}
		}
	}
}

func TestKernelsReadRGBAAlike(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for w := 5; w < 80; w++ {
		pix := raster(r, 0, w, 9)
		img := image.NewNRGBA(image.Rect(0, 0, w, 9))
		for i := range 9 * w {
			copy(img.Pix[4*i:], pix[3*i:3*i+3])
			img.Pix[4*i+3] = byte(r.IntN(256))
		}
		for _, k := range Kernels() {
			a, b := make([]float32, w), make([]float32, w)
			for y := range 9 {
				rgbRows{k, pix, w}.luma(a, y)
				k.rowsOf(img, newGrid(img.Rect)).luma(b, y)
				want := plain.Luma(pix[3*w*y:][:3*w])
				if fmt.Sprint(a) != fmt.Sprint(want) || fmt.Sprint(b) != fmt.Sprint(want) {
					t.Fatalf("%s, width %d: row %d differs", k.name, w, y)
				}
			}
		}
	}
}

// A workspace goes from one image to the next: nothing of it may show.
func TestImagesDoNotShowInOneAnother(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	small := raster(r, 3, 70, 50)
	for _, k := range Kernels() {
		s := new(workspace)
		want := k.on(s, small, 70, 50)
		k.on(s, raster(r, 0, 512, 400), 512, 400)
		if got := k.on(s, small, 70, 50); got != want {
			t.Errorf("%s: the larger image shows", k.name)
		}
	}
}

func (k *Kernel) on(s *workspace, pix []byte, w, h int) [side*side + lane]float32 {
	k.shrink(k, s, rgbRows{k, pix, w}, w, h)
	return s.small
}

func TestAnImageReusesTheBuffersOfTheLast(t *testing.T) {
	pix := raster(rand.New(rand.NewPCG(1, 1)), 0, 512, 512)
	for _, k := range Kernels() {
		s := new(workspace)
		k.on(s, pix, 512, 512)
		before := s.bufs
		k.on(s, pix, 512, 512)
		for i := range before {
			if len(before[i]) > 0 && &before[i][0] != &s.bufs[i][0] {
				t.Errorf("%s allocates buffer %d anew", k.name, i)
			}
		}
	}
}

func FuzzKernels(f *testing.F) {
	f.Add(uint16(64), uint16(70), []byte("an image"))
	f.Add(uint16(300), uint16(5), []byte{0, 255})
	f.Fuzz(func(t *testing.T, w16, h16 uint16, seed []byte) {
		w, h := 1+int(w16)%600, 1+int(h16)%200
		pix := make([]byte, 3*w*h)
		for i := range pix {
			if len(seed) > 0 {
				pix[i] = seed[i%len(seed)] + byte(i/7)
			}
		}
		coefs, hash, quality := plain.Hash(plain.Luma(pix), w, h)
		for _, k := range Kernels() {
			got, err := k.TransformRGB(pix, w, h)
			if err != nil || got.coefs != coefs || got.Hash() != Hash(hash) || got.quality != quality {
				t.Fatalf("%s: %d by %d differs, %v", k.name, w, h, err)
			}
		}
	})
}

func BenchmarkTransform(b *testing.B) {
	pix := raster(rand.New(rand.NewPCG(1, 1)), 3, 512, 512)
	for _, k := range Kernels() {
		b.Run(k.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.TransformRGB(pix, 512, 512); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
