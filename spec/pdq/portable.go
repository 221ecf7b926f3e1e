// SPDX-License-Identifier: Apache-2.0

package pdq

// portable is the kernel in Go. Conversions to float32 around products keep
// compilers from fusing them with the additions that follow.
var portable = Kernel{
	name: "go", strip: 4,
	across: acrossGo, sampled: sampledGo, slide: slideGo, gradients: gradientsGo, dct: dctGo, rgb: rgbGo, rgba: rgbaGo,
}

// acrossGo filters four rows side by side, so that the processor need not wait
// for the last sum of one row.
func acrossGo(_ *workspace, b box, dst, src []float32, n int) {
	var sum [4]float32
	for t := range b.win {
		b.edge(&sum, t, dst, src, n)
	}
	b.inside(&sum, dst, src, n)
	for t := b.n; t < b.steps(); t++ {
		b.edge(&sum, t, dst, src, n)
	}
}

func sampledGo(w *workspace, b box, dst, src []float32, n int) {
	wide := grow(&w.wide, len(src))
	acrossGo(w, b, wide, src, n)
	for i := range dst {
		dst[i] = wide[i/side*n+sample(i%side, b.n)]
	}
}

// edge makes step t where samples only come in or only go out.
func (b box) edge(sum *[4]float32, t int, dst, src []float32, n int) {
	for r := range sum {
		if t < b.n {
			sum[r] += src[r*n+t]
		}
		if t >= b.win {
			sum[r] -= src[r*n+t-b.win]
		}
		if t >= b.half-1 {
			dst[r*n+t-b.half+1] = sum[r] / b.count(t)
		}
	}
}

// inside makes the steps at which one sample comes in and one goes out.
func (b box) inside(sum *[4]float32, dst, src []float32, n int) {
	m := b.n - b.win
	in := func(r int) []float32 { return src[r*n+b.win:][:m] }
	out := func(r int) []float32 { return src[r*n:][:m] }
	to := func(r int) []float32 { return dst[r*n+b.win-b.half+1:][:m] }
	in0, in1, in2, in3 := in(0), in(1), in(2), in(3)
	out0, out1, out2, out3 := out(0), out(1), out(2), out(3)
	to0, to1, to2, to3 := to(0), to(1), to(2), to(3)
	s0, s1, s2, s3 := sum[0], sum[1], sum[2], sum[3]
	c := float32(b.win)
	inv := reciprocal(c)
	for i := range m {
		s0, s1, s2, s3 = s0+in0[i], s1+in1[i], s2+in2[i], s3+in3[i]
		s0, s1, s2, s3 = s0-out0[i], s1-out1[i], s2-out2[i], s3-out3[i]
		if inv != 0 {
			to0[i], to1[i], to2[i], to3[i] = s0*inv, s1*inv, s2*inv, s3*inv
		} else {
			to0[i], to1[i], to2[i], to3[i] = s0/c, s1/c, s2/c, s3/c
		}
	}
	*sum = [4]float32{s0, s1, s2, s3}
}

func slideGo(sum, in, out, dst []float32, c float32) {
	in, out, dst = in[:len(sum)], out[:len(sum)], dst[:len(sum)]
	if inv := reciprocal(c); inv != 0 {
		for i := range sum {
			s := sum[i] + in[i] - out[i]
			sum[i], dst[i] = s, s*inv
		}
		return
	}
	for i := range sum {
		s := sum[i] + in[i] - out[i]
		sum[i], dst[i] = s, s/c
	}
}

func gradientsGo(a, b []float32) int {
	n := 0
	for i := range a {
		n += gradient(a[i], b[i])
	}
	return n
}

func dctGo(out *[16][16]float32, half *[16][side]float32, a *[side * side]float32) {
	for i := range half {
		sum := &half[i]
		clear(sum[:])
		for k := range side {
			d, row := basis[i][k], a[k*side:][:side]
			for j := range sum {
				sum[j] += float32(d * row[j])
			}
		}
	}
	for i := range out {
		sum := &out[i]
		clear(sum[:])
		for k := range side {
			h, d := half[i][k], &basisTurned[k]
			for j := range sum {
				sum[j] += float32(h * d[j])
			}
		}
	}
}

func rgbGo(dst []float32, pix []byte) {
	for x := range dst {
		p := pix[3*x:][:3]
		dst[x] = lumaOf(p[0], p[1], p[2])
	}
}

func rgbaGo(dst []float32, pix []byte) {
	for x := range dst {
		p := pix[4*x:][:3]
		dst[x] = lumaOf(p[0], p[1], p[2])
	}
}
