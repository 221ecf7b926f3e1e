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

// row filters one row of samples.
func (b box) row(out, in []float32) {
	var sum float32
	for t := range b.steps() {
		if t < b.n {
			sum += in[t]
		}
		if t >= b.win {
			sum -= in[t-b.win]
		}
		if t >= b.half-1 {
			out[t-b.half+1] = sum / float32(b.count(t))
		}
	}
}

// step advances a sum of whole rows: in comes in and out goes out unless nil.
func step(sum, in, out []float32) {
	for i := range sum {
		if in != nil {
			sum[i] += in[i]
		}
		if out != nil {
			sum[i] -= out[i]
		}
	}
}

func divide(dst, sum []float32, count int) {
	c := float32(count)
	for i := range dst {
		dst[i] = sum[i] / c
	}
}

// columns filters the columns of rows, each w wide, and hands output row y to
// emit; the row is only valid during the call.
func (b box) columns(rows []float32, w int, sum, line []float32, emit func(y int, row []float32)) {
	clear(sum)
	for t := range b.steps() {
		var in, out []float32
		if t < b.n {
			in = rows[t*w:][:w]
		}
		if t >= b.win {
			out = rows[(t-b.win)*w:][:w]
		}
		step(sum, in, out)
		if t >= b.half-1 {
			divide(line, sum, b.count(t))
			emit(t-b.half+1, line)
		}
	}
}
