// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"
)

// Floor is what the memory alone costs a query.
type Floor struct {
	Runs   float64 // blocks per query, each a run of lines
	Lines  float64 // cache lines per query: headers, lanes, row numbers, rows
	Micros float64 // what reading as many takes at the rate of this machine
}

// Floor measures how long it takes on this machine, now, to read as many runs
// of cache lines at random places of the index as a query of this radius
// reads, and to do nothing else. It is for benchmarks.
func (x *Index) Floor(queries [][32]byte, radius int) (f Floor) {
	seat := x.readers.Enter(0)
	defer func() { x.readers.Leave(seat); runtime.KeepAlive(x) }()
	queries = queries[:min(len(queries), 1000)]
	for _, s := range *x.segments.Load() {
		runs, blockLines, single := s.cost(x.kernel, queries, radius)
		perRun := s.randomRate(max(1, int(blockLines/max(1, runs)+0.5)))
		perLine := s.randomRate(1)
		f.Runs += runs
		f.Lines += blockLines + single
		f.Micros += (runs*float64(perRun) + single*float64(perLine)) / 1000
	}
	return f
}

// cost returns what the average query reads: blocks, their lines, and single
// lines (headers, and for each candidate its number and its row).
func (s *segment) cost(k *kernel, queries [][32]byte, radius int) (runs, blockLines, single float64) {
	d := s.directory.Load()
	out := make([]uint32, outSize)
	for i := range queries {
		q := fromHash(&queries[i])
		var rs []run
		for b := range bandCount {
			if share := plans[radius][b].share; share > 0 {
				rs = d.runs(b, &q, &plans[radius], rs)
				single += 1 + float64(share-1)*float64(max(d.bits, 4)-4)
			}
		}
		runs += float64(len(rs))
		for _, r := range rs {
			blockLines += float64(r.units())
		}
		_, found := k.scan(s.units, rs, len(rs), out)
		single += 2 * float64(found)
	}
	n := float64(max(1, len(queries)))
	return runs / n, blockLines / n, single / n
}

// randomRate returns the nanoseconds that a run of lines takes when runs lie
// anywhere. Reads do not depend on each other, so the processor overlaps them.
func (s *segment) randomRate(lines int) time.Duration {
	const n = 1 << 15
	span := max(1, int(s.top)-lines)
	rng := rand.New(rand.NewPCG(uint64(span), uint64(lines)))
	at := make([]uint32, n)
	best := time.Hour
	var sum uint64
	for range 5 {
		for i := range at {
			at[i] = uint32(rng.IntN(span)) * laneWords
		}
		started := time.Now()
		for _, a := range at {
			for l := range lines {
				sum += atomic.LoadUint64(&s.lanes[int(a)+l*laneWords])
			}
		}
		best = min(best, time.Since(started))
	}
	sink.Add(sum)
	return best / n
}

var sink atomic.Uint64
