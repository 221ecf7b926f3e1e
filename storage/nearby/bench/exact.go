// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-db/tocsin/storage/exact"
	"github.com/tocsin-db/tocsin/storage/nearby/pages"
)

// ExactOptions say what to ask the exact table.
type ExactOptions struct {
	DB            string // file of keys, 32-byte rows; or empty to make keys up
	Entries       int    // how many keys to make up when DB is empty
	JSON          bool
	AddsPerSecond int // measure once more while so many keys arrive
}

// ExactReport is what Exact measured, per key, as the mean of half a million: one call
// each, which need not wait for the one before, and in calls of 1,000.
type ExactReport struct {
	Entries       int     `json:"entries"`
	BuildSeconds  float64 `json:"build_seconds"`
	BytesPerEntry float64 `json:"bytes_per_entry"`
	HitNS         float64 `json:"hit_ns"`
	MissNS        float64 `json:"miss_ns"`
	ChainHitNS    float64 `json:"chain_hit_ns"` // each waits for the answer before
	ChainMissNS   float64 `json:"chain_miss_ns"`
	BatchHitNS    float64 `json:"batch_hit_ns"`
	BatchMissNS   float64 `json:"batch_miss_ns"`
	QPSAll        float64 `json:"qps_all"`
	Cores         int     `json:"cores"`
	MemoryNS      float64 `json:"memory_latency_ns"` // one read of a random line of the table's size
	ReadingNS     float64 `json:"reading_ns"`        // going through the keys that are asked for, which every figure contains
	AddNS         float64 `json:"add_ns"`
	Checked       int     `json:"checked"`
	AddingHitNS   float64 `json:"adding_hit_ns,omitempty"`
	AddingMissNS  float64 `json:"adding_miss_ns,omitempty"`
}

const askedKeys = 1 << 19

// Exact fills a table, asks it for listed and for other keys, and writes the
// report to out. It fails when an answer is wrong.
func Exact(ctx context.Context, o ExactOptions, out io.Writer) error {
	var r ExactReport
	before, started := resident(), time.Now()
	t, hits, err := fillTable(ctx, o)
	if err != nil {
		return err
	}
	r.Entries, r.Cores = t.Len(), runtime.GOMAXPROCS(0)
	r.BuildSeconds = time.Since(started).Seconds()
	debug.FreeOSMemory()
	used := t.Memory()
	if now := resident() - len(hits)*rowSize; before > 0 && now > before {
		used = now - before
	}
	r.BytesPerEntry = float64(used) / float64(r.Entries)

	misses := make([][rowSize]byte, len(hits))
	rng := rand.New(rand.NewPCG(99, 1))
	for i := range misses {
		misses[i] = uniform(rng)
	}
	if err := r.check(t, hits, misses); err != nil {
		return err
	}
	r.measure(t, hits, misses)
	if o.AddsPerSecond > 0 {
		r.measureAdding(t, hits, misses, o.AddsPerSecond)
	}
	return r.write(out, o.JSON)
}

// madeUpKey is key i of a table without a file.
func madeUpKey(i int) [rowSize]byte { return uniform(rand.New(rand.NewPCG(uint64(i), 0x10c51))) }

// fillTable also returns some of the keys, in random order.
func fillTable(ctx context.Context, o ExactOptions) (t *exact.Table, hits [][rowSize]byte, err error) {
	n := o.Entries
	if o.DB != "" {
		if n, err = countRows(o.DB); err != nil {
			return nil, nil, err
		}
	}
	if n <= 0 {
		return nil, nil, errors.New("an exact table needs at least one key")
	}
	t = exact.New(n)
	batch := make([][rowSize]byte, 0, 1024)
	rng := rand.New(rand.NewPCG(98, 1))
	each := func(i int, row *[rowSize]byte) error {
		if batch = append(batch, *row); len(batch) == cap(batch) {
			t.AddBatch(batch)
			batch = batch[:0]
		}
		if len(hits) < askedKeys {
			hits = append(hits, *row)
		} else if k := rng.IntN(i + 1); k < askedKeys {
			hits[k] = *row
		}
		return nil
	}
	if o.DB != "" {
		err = eachRow(ctx, o.DB, each)
	} else {
		for i := 0; i < n && err == nil; i++ {
			k := madeUpKey(i)
			err = each(i, &k)
			if i%4096 == 0 && ctx.Err() != nil {
				err = ctx.Err()
			}
		}
	}
	t.AddBatch(batch)
	rng.Shuffle(len(hits), func(i, k int) { hits[i], hits[k] = hits[k], hits[i] })
	return t, hits, err
}

func (r *ExactReport) check(t *exact.Table, hits, misses [][rowSize]byte) error {
	out := make([]byte, len(hits))
	t.HasBatch(hits, out)
	for i := range hits {
		if out[i] != 1 || !t.Has(&hits[i]) {
			return fmt.Errorf("listed key %d is not found", i)
		}
	}
	t.HasBatch(misses, out)
	for i := range misses {
		if out[i] != 0 || t.Has(&misses[i]) {
			return fmt.Errorf("key %d is found and was never listed", i)
		}
	}
	r.Checked = 2 * len(hits)
	return nil
}

func (r *ExactReport) measure(t *exact.Table, hits, misses [][rowSize]byte) {
	out := make([]byte, 1000)
	batches := func(keys [][rowSize]byte) func() {
		return func() {
			for c := range slices.Chunk(keys, len(out)) {
				t.HasBatch(c, out)
			}
		}
	}
	n := len(hits)
	r.HitNS = perKey(n, func() { askEach(t, hits) })
	r.MissNS = perKey(n, func() { askEach(t, misses) })
	r.ChainHitNS = perKey(n, func() { askChain(t, hits, 0) })
	r.ChainMissNS = perKey(n, func() { askChain(t, misses, 1) })
	r.BatchHitNS = perKey(n, batches(hits))
	r.BatchMissNS = perKey(n, batches(misses))
	r.ReadingNS = perKey(n, func() { readEach(misses) })
	r.MemoryNS = memoryLatency(t.Memory())
	r.QPSAll = 1e9 / perKeyOfAll(n, func() { askAll(t, hits, misses) })
	r.AddNS = perKey(n, func() {
		for i := range hits {
			t.Remove(&hits[i])
			t.Add(&hits[i])
		}
	}) / 2
}

// perKey returns the median of five rounds of many keys. One thread is measured by the
// time that it ran, where the system says so: what it waited for other programs
// does not count.
func perKey(n int, round func()) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return medianRound(n, func() float64 {
		started := time.Now()
		ran, ok := cpuTime()
		round()
		if now, _ := cpuTime(); ok {
			return float64(now - ran)
		}
		return float64(time.Since(started))
	})
}

// perKeyOfAll is perKey for rounds of several threads.
func perKeyOfAll(n int, round func()) float64 {
	return medianRound(n, func() float64 {
		started := time.Now()
		round()
		return float64(time.Since(started))
	})
}

func medianRound(n int, round func() float64) float64 {
	var took []float64
	for range 5 {
		took = append(took, round()/float64(n))
	}
	slices.Sort(took)
	return took[2]
}

var found atomic.Int64

func askEach(t *exact.Table, keys [][rowSize]byte) {
	n := 0
	for i := range keys {
		if t.Has(&keys[i]) {
			n++
		}
	}
	found.Add(int64(n))
}

// readEach goes through keys as askEach does.
func readEach(keys [][rowSize]byte) {
	n := 0
	for i := range keys {
		if keys[i] == ([rowSize]byte{}) {
			n++
		}
	}
	found.Add(int64(n))
}

// askChain asks for the key after the one before once that is answered. skip is 1 less
// the answer that each gets.
func askChain(t *exact.Table, keys [][rowSize]byte, skip int) {
	at := 0
	for range keys {
		step := skip
		if t.Has(&keys[at]) {
			step++
		}
		if at += step; at >= len(keys) {
			at = 0
		}
	}
	found.Add(int64(at))
}

func askAll(t *exact.Table, hits, misses [][rowSize]byte) {
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w * len(hits) / workers; i < (w+1)*len(hits)/workers; i++ {
				if i%2 == 0 {
					t.Has(&hits[i])
				} else {
					t.Has(&misses[i])
				}
			}
		})
	}
	wg.Wait()
}

// memoryLatency reads one line after the other, each at a place that the one
// before says, in an area of the given size.
func memoryLatency(size int) float64 {
	const lineWords = 8
	area, err := pages.Reserve(max(size, 1<<16))
	if err != nil {
		return 0
	}
	defer area.Free()
	area.Huge()
	words := pages.View[uint64](area)
	lines := len(words) / lineWords
	steps := min(1<<18, lines/2)
	at, rng := 0, rand.New(rand.NewPCG(5, 5))
	for range steps {
		next := rng.IntN(lines) * lineWords
		for words[next] != 0 || next == at { // twice in one place would cut the path short
			next = rng.IntN(lines) * lineWords
		}
		words[at], at = uint64(next), next
	}
	return perKey(steps, func() {
		at := uint64(0)
		for range steps {
			at = words[at]
		}
		found.Add(int64(at & 1))
	})
}

func (r *ExactReport) measureAdding(t *exact.Table, hits, misses [][rowSize]byte, perSecond int) {
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		rng := rand.New(rand.NewPCG(6, 6))
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		started := time.Now()
		for n := 0; !stop.Load(); <-tick.C {
			for ; n < int(time.Since(started).Seconds()*float64(perSecond)); n++ {
				k := uniform(rng)
				t.Add(&k)
			}
		}
	})
	r.AddingHitNS = perKey(len(hits), func() { askEach(t, hits) })
	r.AddingMissNS = perKey(len(misses), func() { askEach(t, misses) })
	stop.Store(true)
	wg.Wait()
}

func (r *ExactReport) write(out io.Writer, asJSON bool) error {
	if asJSON {
		return writeJSON(out, r)
	}
	rows := [][2]string{
		{"entries", fmt.Sprint(r.Entries)},
		{"build", fmt.Sprintf("%.2f s", r.BuildSeconds)},
		{"memory", fmt.Sprintf("%.1f bytes per entry", r.BytesPerEntry)},
		{"one key", fmt.Sprintf("hit %.0f ns, miss %.0f ns", r.HitNS, r.MissNS)},
		{"each after the last", fmt.Sprintf("hit %.0f ns, miss %.0f ns", r.ChainHitNS, r.ChainMissNS)},
		{"memory alone", fmt.Sprintf("%.0f ns: reads of random lines of as much memory in pages as large, each after the last", r.MemoryNS)},
		{"one key to memory", fmt.Sprintf("hit %.2f, miss %.2f; each after the last: hit %.2f, miss %.2f",
			r.HitNS/r.MemoryNS, r.MissNS/r.MemoryNS, r.ChainHitNS/r.MemoryNS, r.ChainMissNS/r.MemoryNS)},
		{"keys alone", fmt.Sprintf("%.1f ns: going through what is asked for, in each figure of keys", r.ReadingNS)},
		{"in batches", fmt.Sprintf("hit %.0f ns, miss %.0f ns", r.BatchHitNS, r.BatchMissNS)},
		{"keys/s", fmt.Sprintf("%.0f on %d cores", r.QPSAll, r.Cores)},
		{"add or remove", fmt.Sprintf("%.0f ns", r.AddNS)},
		{"checked", fmt.Sprintf("%d answers: right", r.Checked)},
	}
	if r.AddingHitNS > 0 {
		rows = append(rows, [2]string{"while adding", fmt.Sprintf("hit %.0f ns, miss %.0f ns", r.AddingHitNS, r.AddingMissNS)})
	}
	return writeTable(out, rows)
}
