// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

var kernels = func() (ks []kernel) {
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasBMI1 && cpu.X86.HasPOPCNT {
		ks = append(ks, kernel{"avx512", scanner(scanAVX512), homeScanner(scanHomesAVX512), prefetchHeaders, prefetchHomes, lookUp, nearRows})
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasBMI1 && cpu.X86.HasPOPCNT {
		ks = append(ks, kernel{"avx2", scanner(scanAVX2), homeScanner(scanHomesAVX2), prefetchHeaders, prefetchHomes, lookUp, nearRows})
	}
	return append(ks, goKernel)
}()

type scanFunc = func(lanes, ids *uint64, runs *run, n, all, ask int, out *uint32, room int) (done, found int)

func scanner(f scanFunc) func(*units, []run, int, []uint32) (int, int) {
	return func(u *units, runs []run, n int, out []uint32) (done, found int) {
		if n == 0 || len(out) == 0 { // out is full to its last place: nothing is scanned until it is drained
			return 0, 0
		}
		return f(unsafe.SliceData(u.lanes), unsafe.SliceData(u.ids), &runs[0], n, len(runs), runsAhead, &out[0], len(out))
	}
}

type scanHomesFunc = func(lanes, ids *uint64, bands *homeBand, n int, last uint64, out *uint32) (found int)

func homeScanner(f scanHomesFunc) func(*units, []homeBand, uint, []uint32) int {
	return func(u *units, bands []homeBand, bits uint, out []uint32) int {
		n := len(bands) - 1
		_ = out[n*mostRuns*unitLanes-1]
		return f(unsafe.SliceData(u.lanes), unsafe.SliceData(u.ids), &bands[0], n, 64<<bits>>1, &out[0])
	}
}

func prefetchHomes(u *units, b *homeBand, bits uint) {
	prefetchHomesAsm(&u.lanes[b.home*laneWords], b.at, 64<<bits>>1)
}

func prefetchHeaders(d *directory, b int, q *row) {
	if d.homes[b] != 0 {
		return // few headers are read
	}
	prefetchHeadersAsm(&d.headers[b<<d.bits], int(q.band(b))>>(bandBits-d.bits), 1<<d.bits)
}

func lookUp(s *segment, positions []uint32, met *recent, top uint32, ids []uint32) int {
	if len(positions) == 0 {
		return 0
	}
	return lookUpAsm(&s.ids[0], &positions[0], len(positions), &met.slots[0], met.mark, top, &s.rows[0], &ids[0])
}

func nearRows(s *segment, ids []uint32, q *row, radius int) int {
	if len(ids) == 0 {
		return 0
	}
	return nearRowsAsm(&s.rows[0], &ids[0], len(ids), q, radius)
}

//go:noescape
func scanAVX512(lanes, ids *uint64, runs *run, n, all, ask int, out *uint32, room int) (done, found int)

//go:noescape
func scanAVX2(lanes, ids *uint64, runs *run, n, all, ask int, out *uint32, room int) (done, found int)

//go:noescape
func scanHomesAVX512(lanes, ids *uint64, bands *homeBand, n int, last uint64, out *uint32) (found int)

//go:noescape
func scanHomesAVX2(lanes, ids *uint64, bands *homeBand, n int, last uint64, out *uint32) (found int)

//go:noescape
func prefetchHomesAsm(home *uint64, at uint32, last uint64)

//go:noescape
func prefetchHeadersAsm(headers *uint32, at, size int)

//go:noescape
func prefetchRowsAsm(rows *uint64, ids *uint32, n int)

//go:noescape
func lookUpAsm(ids *uint64, positions *uint32, n int, slots *uint32, mark, top uint32, rows *uint64, out *uint32) (found int)

//go:noescape
func nearRowsAsm(rows *uint64, ids *uint32, n int, q *row, radius int) (found int)
