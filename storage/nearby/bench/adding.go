// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/tocsin-db/tocsin/storage/nearby"
)

// measureAdding times the queries again while hashes arrive at a steady rate,
// each of which must be found as soon as Add has returned.
func measureAdding(ctx context.Context, x *nearby.Index, queries [][rowSize]byte, o SearchOptions) (*AddingReport, error) {
	var r AddingReport
	var err error
	if r.BurstP50, r.BurstP99, r.BurstMax, err = addAtOnce(ctx, x); err != nil {
		return nil, err
	}
	var stop atomic.Bool
	type result struct {
		took    []time.Duration
		elapsed time.Duration
		err     error
	}
	results := make(chan result)
	go func() {
		started := time.Now()
		took, err := addSteadily(ctx, x, o.AddsPerSecond, &stop)
		results <- result{took, time.Since(started), err}
	}()
	var lat []time.Duration
	for started := time.Now(); len(lat) == 0 || time.Since(started) < 2*time.Second; {
		took, _ := timeEach(x, queries, o.Radius)
		lat = append(lat, took...)
	}
	stop.Store(true)
	adds := <-results
	if adds.err != nil {
		return nil, adds.err
	}
	r.P50, r.P99, _ = micros(lat)
	r.AddP50, r.AddP99, _ = micros(adds.took)
	r.AddsPerSecond = float64(len(adds.took)) / adds.elapsed.Seconds()
	return &r, nil
}

// burst is how many hashes addAtOnce adds.
const burst = 20_000

// addAtOnce times Add alone, one after the other, as a peer's is timed.
func addAtOnce(ctx context.Context, x *nearby.Index) (p50, p99, most float64, err error) {
	rng := rand.New(rand.NewPCG(uint64(x.Len()), 8))
	took := make([]time.Duration, burst)
	hashes := make([][rowSize]byte, burst)
	for i := range hashes {
		hashes[i] = photo(rng)
	}
	for i := range hashes {
		t := time.Now()
		if err := x.Add(&hashes[i], 1<<41+uint64(i)); err != nil {
			return 0, 0, 0, fmt.Errorf("adding: %w", err)
		}
		took[i] = time.Since(t)
	}
	for i := range hashes {
		if ctx.Err() != nil {
			return 0, 0, 0, ctx.Err()
		}
		if !finds(x, &hashes[i], 1<<41+uint64(i)) {
			return 0, 0, 0, errors.New("a hash was not found after it was added")
		}
	}
	p50, p99, _ = micros(took)
	return p50, p99, float64(took[len(took)-1]) / float64(time.Microsecond), nil
}

func addSteadily(ctx context.Context, x *nearby.Index, perSecond int, stop *atomic.Bool) (took []time.Duration, err error) {
	rng := rand.New(rand.NewPCG(uint64(x.Len()), 7))
	tick := time.NewTicker(max(time.Millisecond, time.Second/time.Duration(perSecond)))
	defer tick.Stop()
	started := time.Now()
	for ref := uint64(1) << 40; !stop.Load() || len(took) == 0; <-tick.C {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for due := 1 + int(time.Since(started).Seconds()*float64(perSecond)); len(took) < due; ref++ {
			h := photo(rng)
			t := time.Now()
			if err := x.Add(&h, ref); err != nil {
				return nil, fmt.Errorf("adding while searching: %w", err)
			}
			took = append(took, time.Since(t))
			if !finds(x, &h, ref) {
				return nil, errors.New("a hash was not found right after it was added")
			}
		}
	}
	return took, nil
}

func finds(x *nearby.Index, h *[rowSize]byte, ref uint64) bool {
	ms, _ := x.Search(h, 0, nil)
	for _, m := range ms {
		if m.Ref == ref {
			return true
		}
	}
	return false
}
