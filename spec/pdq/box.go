// SPDX-License-Identifier: Apache-2.0

package pdq

// window is the width of the box filter along n samples: half of the n/64
// samples that one sample of the shrunk image stands for, rounded up.
func window(n int) int { return (n + 127) / 128 }

// sample is the place, of n, from which sample i of the shrunk 64 is taken.
func sample(i, n int) int { return (2*i + 1) * n / 128 }

// A box walks one box filter of width win over n samples. Every output is the
// running sum divided by its number of samples; the sum is never computed anew,
// so its rounding errors are part of the result.
//
// At step t, of n+half-1 in all, sample t comes in (when t < n), then sample
// t-win goes out (when t >= win), then output t-half+1 is due (when >= 0).
type box struct{ n, win, half int }

func newBox(n int) box {
	w := window(n)
	return box{n: n, win: w, half: (w + 2) / 2}
}

func (b box) steps() int { return b.n + b.half - 1 }

// count is how many samples the sum holds after step t.
func (b box) count(t int) int { return min(t+1, b.n) - max(0, t-b.win+1) }

// reciprocal returns 1/c where a product with it is the quotient by c, bit for
// bit: when c is a power of two. Otherwise it returns 0.
func reciprocal(c int) float32 {
	if c&(c-1) != 0 {
		return 0
	}
	return 1 / float32(c)
}
