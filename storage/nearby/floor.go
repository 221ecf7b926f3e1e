// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"cmp"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
)

// Floor is what the memory alone costs a query.
type Floor struct {
	Runs      float64 // blocks of the median query, each a run of lines
	Lines     float64 // cache lines of it: lanes, row numbers, rows
	Micros    float64 // what reading as many takes at the rate of this machine
	RunNanos  float64 // reading a run of lines of the blocks' average length
	LineNanos float64 // reading a single line
}

// Floor measures how long it takes on this machine, now, to read as many runs
// of cache lines at random places of the index as the median query of this
// radius reads, and to do nothing else. It is for benchmarks.
func (x *Index) Floor(queries [][32]byte, radius int) (f Floor) {
	seat := x.readers.Enter(0)
	defer func() { x.readers.Leave(seat); runtime.KeepAlive(x) }()
	for _, s := range *x.segments.Load() {
		c := s.medianCost(x.kernel, queries[:min(len(queries), 1000)], radius)
		f.RunNanos = s.randomRate(max(1, (c.lines+c.runs/2)/max(1, c.runs)))
		f.LineNanos = s.randomRate(1)
		f.Runs += float64(c.runs)
		f.Lines += float64(c.lines + c.single)
		f.Micros += (float64(c.runs)*f.RunNanos + float64(c.single)*f.LineNanos) / 1000
	}
	return f
}

// cost is what a query reads: blocks, their lines, and single lines: for each
// candidate its number and its row. The headers are in the cache.
type cost struct{ runs, lines, single int }

func (s *segment) medianCost(k *kernel, queries [][32]byte, radius int) cost {
	d := s.directory.Load()
	out := make([]uint32, outSize)
	var costs []cost
	var rs []run
	for i := range queries {
		q := fromHash(&queries[i])
		rs = rs[:0]
		for b := range bandCount {
			rs = d.runs(b, &q, &plans[radius], rs)
		}
		c := cost{runs: len(rs)}
		for _, r := range rs {
			c.lines += int(r.units())
		}
		_, found := k.scan(s.units, rs, len(rs), out)
		c.single = 2 * found
		costs = append(costs, c)
	}
	if len(costs) == 0 {
		return cost{}
	}
	slices.SortFunc(costs, func(a, b cost) int { return cmp.Compare(a.lines+a.single, b.lines+b.single) })
	return costs[len(costs)/2]
}

// randomRate returns the nanoseconds that a run of lines takes when runs lie
// anywhere. Where there is an assembly for it, lines are asked for ahead.
func (s *segment) randomRate(lines int) (nanos float64) {
	const n = 1 << 15
	span := max(1, int(s.top)-lines)
	rng := rand.New(rand.NewPCG(uint64(span), uint64(lines)))
	at := make([]uint32, n+readAhead)
	best := time.Hour
	var sum uint64
	for range 5 {
		for i := range at {
			at[i] = uint32(rng.IntN(span))
		}
		started := time.Now()
		sum += readRuns(s.lanes, at, lines)
		best = min(best, time.Since(started))
	}
	sink.Add(sum)
	return float64(best) / n
}

const readAhead = 16

var sink atomic.Uint64
