// SPDX-License-Identifier: Apache-2.0

// Package bench measures PDQ hashing, decoding excluded, and checks what it
// measures: every kernel against the conformance vectors and, on the measured
// images, against the plain implementation of the text.
package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/tocsin-db/tocsin/spec/pdq"
	"github.com/tocsin-db/tocsin/spec/pdq/internal/plain"
)

// ReferenceNS is what the C++ reference took for the same work, in nanoseconds
// for an image of 512 by 512. It was recorded on another machine, and is no
// measurement of this run.
const ReferenceNS = 3_600_000

const (
	size   = 512
	images = 16
	rounds = 24 // over all images, per kernel
)

// A Result is what one implementation took for one image.
type Result struct {
	Kernel    string  `json:"kernel"`
	BestNS    int64   `json:"best_ns"`
	MedianNS  int64   `json:"median_ns"`
	Plain     float64 `json:"times_plain"`              // plain over this, best of both, same run
	Reference float64 `json:"times_recorded_reference"` // ReferenceNS over this best
}

// A Report is one run.
type Report struct {
	Data        string   `json:"data"`
	Vectors     int      `json:"vectors_identical"` // on every kernel
	ReferenceNS int64    `json:"recorded_reference_ns"`
	Results     []Result `json:"results"`
}

// Run measures and prints, as a table or as one JSON object. It fails when a
// kernel gives a wrong answer or ctx ends.
func Run(ctx context.Context, out io.Writer, asJSON bool) error {
	r, err := Measure(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	return r.print(out)
}

// Measure checks all kernels, then times them and the plain implementation.
func Measure(ctx context.Context) (Report, error) {
	r := Report{Data: fmt.Sprintf("%d generated RGB rasters of %d by %d", images, size, size), ReferenceNS: ReferenceNS}
	var err error
	if r.Vectors, err = checkVectors(); err != nil {
		return r, err
	}
	data := rasters()
	want := make([]pdq.Hash, len(data))
	peer, err := timed(ctx, "plain", 1, data, func(i int) error {
		_, h, _ := plain.Hash(plain.Luma(data[i]), size, size)
		want[i] = h
		return nil
	})
	if err != nil {
		return r, err
	}
	for _, k := range pdq.Kernels() {
		got, err := timed(ctx, k.Name(), rounds, data, func(i int) error {
			t, err := k.TransformRGB(data[i], size, size)
			if err == nil && t.Hash() != want[i] {
				err = fmt.Errorf("kernel %s: image %d has the wrong hash", k.Name(), i)
			}
			return err
		})
		if err != nil {
			return r, err
		}
		r.Results = append(r.Results, got)
	}
	r.Results = append(r.Results, peer)
	for i, k := range r.Results {
		r.Results[i].Plain = float64(peer.BestNS) / float64(k.BestNS)
		r.Results[i].Reference = ReferenceNS / float64(k.BestNS)
	}
	return r, nil
}

// timed runs f on every raster, rounds times.
func timed(ctx context.Context, name string, rounds int, data [][]byte, f func(i int) error) (Result, error) {
	var took []int64
	for range rounds {
		for i := range data {
			if err := ctx.Err(); err != nil {
				return Result{}, err
			}
			start := time.Now()
			if err := f(i); err != nil {
				return Result{}, err
			}
			took = append(took, time.Since(start).Nanoseconds())
		}
	}
	slices.Sort(took)
	return Result{Kernel: name, BestNS: took[0], MedianNS: took[len(took)/2]}, nil
}

// rasters paints overlapping discs with some noise, from a fixed seed.
func rasters() [][]byte {
	all := make([][]byte, images)
	state := uint32(1)
	next := func(n int) int {
		state = state*1664525 + 1013904223
		return int(state>>8) % n
	}
	for k := range all {
		pix := make([]byte, 3*size*size)
		for range 40 {
			disc(pix, next(size), next(size), 8+next(120), [3]int{next(256), next(256), next(256)})
		}
		for i := range pix {
			pix[i] += byte(next(9))
		}
		all[k] = pix
	}
	return all
}

func disc(pix []byte, cx, cy, radius int, colour [3]int) {
	for y := max(0, cy-radius); y < min(size, cy+radius); y++ {
		for x := max(0, cx-radius); x < min(size, cx+radius); x++ {
			if (x-cx)*(x-cx)+(y-cy)*(y-cy) < radius*radius {
				for c, v := range colour {
					pix[3*(y*size+x)+c] = byte(v)
				}
			}
		}
	}
}

func (r Report) print(out io.Writer) error {
	fmt.Fprintf(out, "PDQ hash and quality, decoding excluded: %s\n", r.Data)
	fmt.Fprintf(out, "%d lossless vectors identical on every kernel; every timed hash equal to the plain one\n\n", r.Vectors)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "kernel\tmedian ns\tbest ns\tplain, this run\tC++ reference, recorded\t\n")
	for _, k := range r.Results {
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1fx\t%.1fx\t\n", k.Kernel, k.MedianNS, k.BestNS, k.Plain, k.Reference)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nplain: the text of the specification in Go, one step after the other.\n"+
		"C++ reference: %.1f ms, recorded on another machine; not measured here.\n", float64(r.ReferenceNS)/1e6)
	return err
}
