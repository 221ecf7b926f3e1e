// SPDX-License-Identifier: Apache-2.0

package pdq

import "github.com/tocsin-db/tocsin/spec"

// A Kernel is one implementation of the arithmetic. All return the same bits.
type Kernel struct {
	name string
	// strip is how many rows are filtered along x together.
	strip int
	// across filters strip rows of n samples, b.n of which count, along x.
	// src and dst are strip by n; n is a multiple of lane. dst may hold
	// anything in the columns from b.n on.
	across func(w *workspace, b box, dst, src []float32, n int)
	// sampled is across for the 64 columns that count: dst is strip by 64.
	sampled func(w *workspace, b box, dst, src []float32, n int)
	// slide adds in to sum, takes out from it and sets dst to sum/c; all are
	// of one length, a multiple of lane.
	slide func(sum, in, out, dst []float32, c float32)
	// gradients adds |trunc((a[i]-b[i])*100/255)| for all i; the length is a
	// multiple of lane.
	gradients func(a, b []float32) int
	// dct sets out to basis * a * basis transposed.
	dct func(out *[16][16]float32, half *[16][side]float32, a *[side * side]float32)
	// rgb and rgba set dst to the luminance of pixels of three and four bytes;
	// pix may go on behind the last of them.
	rgb, rgba func(dst []float32, pix []byte)
}

// lane is the granularity of rows: what the widest kernel does in one go.
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

// transform runs the whole algorithm on the rows of a w by h image.
func (k *Kernel) transform(src rows, w, h int) Transform {
	var t Transform
	if w < minSide || h < minSide {
		return t
	}
	s := workspaces.Get().(*workspace)
	defer workspaces.Put(s)
	k.shrink(s, src, w, h)
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
