// SPDX-License-Identifier: Apache-2.0

package pdq

import (
	"image"

	"github.com/tocsin-db/tocsin/spec"
)

// A Kernel is one implementation of the arithmetic. All return the same bits.
type Kernel struct {
	name string
	// shrink fills w.small with a w by h image after two passes of the box
	// filter along rows and columns; the sides are minSide or more.
	shrink func(k *Kernel, s *workspace, src rows, w, h int)
	// gradients adds |trunc((a[i]-b[i])*100/255)| for all i of a; its length is
	// a multiple of lane.
	gradients func(a, b []float32) int
	// dct sets out to basis * a * basis transposed; half is for its use.
	dct func(out *[16][16]float32, half *[16][side]float32, a *[side * side]float32)
	// rgb and rgba set dst to the luminance of pixels of three and four bytes;
	// pix may go on behind the last of them.
	rgb, rgba func(dst []float32, pix []byte)
}

// lane is the granularity of vectors: what the widest kernel does in one go.
const lane = 16

// best is the fastest kernel that this processor runs.
var best = Kernels()[0]

// Kernels lists the kernels that this processor runs, the fastest first and
// the portable one last.
func Kernels() []*Kernel { return append(nativeKernels(), &portable) }

// Name names the instruction set.
func (k *Kernel) Name() string { return k.name }

// TransformRGB is the function of that name, computed by k.
func (k *Kernel) TransformRGB(pix []byte, w, h int) (Transform, error) {
	if err := checkRaster(len(pix), 3, w, h); err != nil {
		return Transform{}, err
	}
	return k.transform(rgbRows{k, pix, w}, w, h), nil
}

// TransformImage is the function of that name, computed by k.
func (k *Kernel) TransformImage(img image.Image) (Transform, error) {
	b := img.Bounds()
	if b.Empty() {
		return Transform{}, spec.Errorf(spec.CodeMalformed, "the image has no pixels")
	}
	g := newGrid(b)
	return k.transform(k.rowsOf(img, g), g.w, g.h), nil
}

// transform runs the whole algorithm on the rows of a w by h image.
func (k *Kernel) transform(src rows, w, h int) Transform {
	var t Transform
	if w < minSide || h < minSide {
		return t
	}
	s := workspaces.Get().(*workspace)
	defer workspaces.Put(s)
	if w == side && h == side {
		for y := range side {
			src.luma(s.small[y*side:][:side], y)
		}
	} else {
		k.shrink(k, s, src, w, h)
	}
	t.quality = k.quality(&s.small)
	k.dct(&t.coefs, &s.half, (*[side * side]float32)(s.small[:]))
	return t
}

func checkRaster(n, size, w, h int) error {
	if w <= 0 || h <= 0 || n%size != 0 || n/size%w != 0 || n/size/w != h {
		return spec.Errorf(spec.CodeMalformed, "a raster of %d values is not %d by %d pixels", n, w, h)
	}
	return nil
}
