// SPDX-License-Identifier: Apache-2.0

// Package bench measures near and exact lookups on files of 32-byte rows that
// any other program can read too, and checks its own answers.
package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-db/tocsin/storage/nearby"
)

// SearchOptions say what to search and how to report it.
type SearchOptions struct {
	DB            string // file of entries, 32-byte rows
	Queries       string // file of queries, 32-byte rows
	Radius        int    // in bits
	Out           string // where to write every match, or empty
	JSON          bool
	Kernel        string // one of nearby.Kernels, or empty for the fastest
	AddsPerSecond int    // measure once more while so many hashes arrive
	Live          bool   // add the entries one at a time instead of loading them
}

// SearchReport is what Search measured.
type SearchReport struct {
	Entries       int     `json:"entries"`
	Queries       int     `json:"queries"`
	Radius        int     `json:"radius"`
	BuildSeconds  float64 `json:"build_seconds"`
	BytesPerEntry float64 `json:"bytes_per_entry"`
	P50           float64 `json:"p50_us"`
	P99           float64 `json:"p99_us"`
	Mean          float64 `json:"mean_us"`
	CPU50         float64 `json:"p50_cpu_us,omitempty"` // of the thread's own time: without what
	CPU99         float64 `json:"p99_cpu_us,omitempty"` // other programs took from it
	CPUMean       float64 `json:"mean_cpu_us,omitempty"`
	QPS1          float64 `json:"qps_1"`
	QPSAll        float64 `json:"qps_all"`
	QPSBatch      float64 `json:"qps_batch"` // all cores, batches of 1,000
	Kernel        string  `json:"kernel"`
	Cores         int     `json:"cores"`
	Matches       int     `json:"matches"`
	Checked       int     `json:"checked_against_brute_force"`
	FloorMicros   float64 `json:"memory_floor_us"`
	LinesPerQuery float64 `json:"lines_per_query"`
	RunsPerQuery  float64 `json:"runs_per_query"`
	RunNanos      float64 `json:"random_run_ns"`  // reading a run of lines of a block's length
	LineNanos     float64 `json:"random_line_ns"` // reading a single line
	FromFloor     float64 `json:"times_memory_floor"`

	Adding *AddingReport `json:"adding,omitempty"`
}

// AddingReport is what Search measured while hashes were added.
type AddingReport struct {
	AddsPerSecond float64 `json:"adds_per_second"`
	P50           float64 `json:"p50_us"`
	P99           float64 `json:"p99_us"`
	AddP50        float64 `json:"add_p50_us"`
	AddP99        float64 `json:"add_p99_us"`
	BurstP50      float64 `json:"add_alone_p50_us"` // one Add after the other
	BurstP99      float64 `json:"add_alone_p99_us"`
	BurstMax      float64 `json:"add_alone_max_us"`
}

// Search loads an index with the entries, times every query, and writes the
// report to out. It fails when an answer is not what brute force finds.
func Search(ctx context.Context, o SearchOptions, out io.Writer) error {
	queries, err := readRows(ctx, o.Queries)
	if err != nil {
		return err
	}
	if len(queries) == 0 {
		return errors.New("the file of queries is empty")
	}
	before := resident()
	started := time.Now()
	x, err := load(ctx, o)
	if err != nil {
		return err
	}
	r := SearchReport{
		Entries: x.Len(), Queries: len(queries), Radius: o.Radius, Kernel: x.Kernel(),
		Cores: runtime.GOMAXPROCS(0), BuildSeconds: time.Since(started).Seconds(),
	}
	r.BytesPerEntry = bytesPerEntry(x, before)
	if err := r.measure(ctx, x, queries, o); err != nil {
		return err
	}
	return r.write(out, o.JSON)
}

func load(ctx context.Context, o SearchOptions) (*nearby.Index, error) {
	n, err := countRows(o.DB)
	if err != nil {
		return nil, err
	}
	x := nearby.New(nearby.WithKernel(o.Kernel))
	if o.Live {
		return x, eachRow(ctx, o.DB, func(i int, row *[rowSize]byte) error { return x.Add(row, uint64(i)) })
	}
	l := x.Loader(n)
	if err := eachRow(ctx, o.DB, func(i int, row *[rowSize]byte) error { return l.Add(row, uint64(i)) }); err != nil {
		return nil, err
	}
	return x, l.Finish(nil)
}

// bytesPerEntry is how much the process grew, or where that is not known what
// the index says that it uses.
func bytesPerEntry(x *nearby.Index, before int) float64 {
	debug.FreeOSMemory()
	used := x.Memory()
	if now := resident(); before > 0 && now > before {
		used = now - before
	}
	return float64(used) / float64(max(1, x.Len()))
}

func (r *SearchReport) measure(ctx context.Context, x *nearby.Index, queries [][rowSize]byte, o SearchOptions) (err error) {
	if o.Out != "" {
		if err := writeMatches(ctx, x, queries, o); err != nil {
			return err
		}
	}
	if r.Checked, err = checkAgainstBruteForce(ctx, x, queries, o); err != nil {
		return err
	}
	warmUp(x, queries, o.Radius)
	lat, matches := timeEach(x, queries, o.Radius)
	r.Matches = matches
	r.P50, r.P99, r.Mean = micros(lat)
	r.QPS1 = 1e6 / r.Mean
	r.CPU50, r.CPU99, r.CPUMean = cpuEach(x, queries, o.Radius)
	r.QPSAll = throughput(x, queries, o.Radius)
	r.QPSBatch = batchThroughput(x, queries, o.Radius)
	f := x.Floor(queries, o.Radius)
	r.FloorMicros, r.LinesPerQuery, r.RunsPerQuery = f.Micros, f.Lines, f.Runs
	r.RunNanos, r.LineNanos = f.RunNanos, f.LineNanos
	r.FromFloor = r.P50 / f.Micros
	if o.AddsPerSecond > 0 {
		r.Adding, err = measureAdding(ctx, x, queries, o)
	}
	return err
}

// warmUp searches for other hashes than the queries, so that code and page
// tables are warm and the queries' buckets are not.
func warmUp(x *nearby.Index, queries [][rowSize]byte, radius int) {
	var dst []nearby.Match
	for _, q := range queries[:min(len(queries), 2000)] {
		for i := range q {
			q[i] ^= 0x5a
		}
		dst, _ = x.Search(&q, radius, dst[:0])
	}
}

func timeEach(x *nearby.Index, queries [][rowSize]byte, radius int) (took []time.Duration, matches int) {
	took = make([]time.Duration, len(queries))
	var dst []nearby.Match
	for i := range queries {
		started := time.Now()
		dst, _ = x.Search(&queries[i], radius, dst[:0])
		took[i] = time.Since(started)
		matches += len(dst)
	}
	return took, matches
}

// cpuEach is timeEach by the clock of the thread, where there is one.
func cpuEach(x *nearby.Index, queries [][rowSize]byte, radius int) (p50, p99, mean float64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	took := make([]time.Duration, len(queries))
	var dst []nearby.Match
	for i := range queries {
		started, ok := cpuTime()
		if !ok {
			return 0, 0, 0
		}
		dst, _ = x.Search(&queries[i], radius, dst[:0])
		now, _ := cpuTime()
		took[i] = now - started
	}
	return micros(took)
}

func micros(took []time.Duration) (p50, p99, mean float64) {
	var sum time.Duration
	for _, t := range took {
		sum += t
	}
	slices.Sort(took)
	at := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)-1))]) / float64(time.Microsecond)
	}
	return at(0.50), at(0.99), float64(sum) / float64(len(took)) / float64(time.Microsecond)
}

// throughput searches from all cores at once.
func throughput(x *nearby.Index, queries [][rowSize]byte, radius int) float64 {
	var next atomic.Int64
	var wg sync.WaitGroup
	started := time.Now()
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			var dst []nearby.Match
			for i := next.Add(1) - 1; i < int64(len(queries)); i = next.Add(1) - 1 {
				dst, _ = x.Search(&queries[i], radius, dst[:0])
			}
		})
	}
	wg.Wait()
	return float64(len(queries)) / time.Since(started).Seconds()
}

func batchThroughput(x *nearby.Index, queries [][rowSize]byte, radius int) float64 {
	var res nearby.Results
	started := time.Now()
	for batch := range slices.Chunk(queries, 1000) {
		x.SearchBatch(batch, radius, &res)
	}
	return float64(len(queries)) / time.Since(started).Seconds()
}

// writeMatches writes every match as query,entry,distance.
func writeMatches(ctx context.Context, x *nearby.Index, queries [][rowSize]byte, o SearchOptions) error {
	f, err := os.Create(o.Out)
	if err != nil {
		return fmt.Errorf("creating the file of matches: %w", err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	var dst []nearby.Match
	for i := range queries {
		if i%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		dst, _ = x.Search(&queries[i], o.Radius, dst[:0])
		for _, m := range dst {
			fmt.Fprintf(w, "%d,%d,%d\n", i, m.Ref, m.Distance)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing matches: %w", err)
	}
	return f.Close()
}
