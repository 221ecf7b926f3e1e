// SPDX-License-Identifier: Apache-2.0

package nearby

import (
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
}

// gather leaves in ids the candidates that were not compared yet.
func (g *gathering) gather() {
	d := g.directory.Load()
	p := &plans[g.radius]
	g.seen.reset()
	g.ids = g.ids[:0]
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
		g.lookUp(min(before, g.found))
		at = end
	}
	g.lookUp(g.found)
}

// scan scans runs from at to end.
func (g *gathering) scan(at, end int) {
	n := at + g.allowScan(g.runs[at:end])
	for at < n && !g.done {
		ahead := g.runs[at : n+runsAhead : cap(g.runs)] // what lies behind is read, not scanned
		finished, found := g.kernel.scan(g.units, ahead[:n-at], g.out[g.found:])
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
// and has the rows brought near. Each row counts once.
func (g *gathering) lookUp(end int) {
	positions := g.out[g.read:end]
	g.read = end
	if !g.done {
		positions = positions[:g.allowLooks(len(positions))]
	}
	from := len(g.ids)
	top := g.rowTop.Load()
	for _, pos := range positions {
		id := g.id(pos)
		if id < top && rowNumberOK(id) && g.seen.add(id) {
			g.ids = append(g.ids, id)
		}
	}
	g.kernel.prefetchRows(g.rows, g.ids[from:])
}

// compare puts the candidates that are within the radius into the answer. The
// refs of all of them are asked for before the first is read.
func (g *gathering) compare() {
	n := 0
	for _, id := range g.ids {
		r := g.loadRow(id)
		if r.distance(&g.q) <= g.radius {
			fetch.Line(unsafe.Pointer(&g.refs.lo[id]))
			g.ids[n] = id
			n++
		}
	}
	for _, id := range g.ids[:n] {
		r := g.loadRow(id)
		g.match(g.segment, id, &r, r.distance(&g.q))
	}
	g.ids = g.ids[:0]
}
