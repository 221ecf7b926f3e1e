// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"slices"
	"unsafe"

	"github.com/tocsin-db/tocsin/storage/nearby/fetch"
)

// gathering finds the rows of a segment that may lie near a query. It is a
// pipeline that waits for memory as little as it can: while band b is
// scanned, the blocks of band b+1 and the headers of band b+2 are on their
// way, and so are the row numbers that band b-1 gave.
type gathering struct {
	*segment
	*scratch
	*answer
	kernel *kernel
	found  int // positions in out
	read   int // positions of which the row number was read
	within int // ids within the radius
}

// gather leaves in ids the candidates within the radius, and behind them those
// that were not compared yet.
func (g *gathering) gather() {
	d := g.directory.Load()
	g.met.reset()
	g.near.reset()
	g.ids = g.ids[:0]
	if g.atHomes(d) {
		g.gatherHomes(d)
	} else {
		g.gatherRuns(d)
	}
	g.compare()
	g.lookUp(g.found)
}

// gatherRuns is the pipeline where buckets are found by their headers.
func (g *gathering) gatherRuns(d *directory) {
	p := &plans[g.radius]
	g.kernel.prefetchHeaders(d, 0, &g.q)
	g.kernel.prefetchHeaders(d, 1, &g.q)
	g.runs = d.runs(0, &g.q, p, g.runs[:0])
	at := 0
	for b := 0; b < bandCount && !g.done && !g.spent; b++ {
		end := len(g.runs)
		if b+2 < bandCount {
			g.kernel.prefetchHeaders(d, b+2, &g.q)
		}
		if b+1 < bandCount {
			g.runs = d.runs(b+1, &g.q, p, g.runs)
		}
		before := g.found
		g.scan(at, end)
		g.compare()
		g.lookUp(min(before, g.found))
		at = end
	}
}

// scan scans runs from at to end.
func (g *gathering) scan(at, end int) {
	n := at + g.allowScan(g.runs[at:end])
	for at < n && !g.done {
		finished, found := g.kernel.scan(g.units, g.runs[at:], n-at, g.out[g.found:])
		at, g.found = at+finished, g.found+found
		if at < n {
			g.drain()
		}
	}
}

// drain makes room in out.
func (g *gathering) drain() {
	g.lookUp(g.found)
	g.compare()
	g.found, g.read = 0, 0
}

// lookUp reads the row numbers at the positions found so far up to the end-th
// and has the rows brought near.
func (g *gathering) lookUp(end int) {
	positions := g.out[g.read:end]
	g.read = end
	if g.done || len(positions) == 0 {
		return
	}
	positions = positions[:g.allowLooks(len(positions))]
	from := len(g.ids)
	top := g.rowTop.Load()
	g.ids = slices.Grow(g.ids, len(positions))
	ids := g.ids[from : from+len(positions)]
	n := g.kernel.lookUp(g.segment, positions, &g.met, top, ids)
	g.ids = g.ids[:from+n]
}

// compare leaves in ids what is within the radius.
func (g *gathering) compare() {
	if g.within == len(g.ids) {
		return
	}
	found := g.ids[g.within:]
	found = found[:g.kernel.nearRows(g.segment, found, &g.q, g.radius)]
	n := g.within
	for _, id := range found {
		if g.near.add(id) {
			fetch.Line(unsafe.Pointer(&g.refs.lo[id]))
			g.ids[n] = id
			n++
		}
	}
	g.within, g.ids = n, g.ids[:n]
}

// finish puts the candidates that are within the radius into the answer. The
// refs of all of them were asked for before the first is read.
func (g *gathering) finish() {
	g.compare()
	for _, id := range g.ids {
		if g.done {
			break
		}
		r := g.loadRow(id)
		if d := r.distance(&g.q); d <= g.radius {
			g.match(g.segment, id, &r, d)
		}
	}
	g.ids, g.within = g.ids[:0], 0
}
