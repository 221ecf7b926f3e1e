// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

var kernels = func() (ks []kernel) {
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasBMI1 {
		ks = append(ks, kernel{"avx512", scanner(scanAVX512), prefetchHeaders, fetchRows})
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasBMI1 {
		ks = append(ks, kernel{"avx2", scanner(scanAVX2), prefetchHeaders, fetchRows})
	}
	return append(ks, goKernel)
}()

type scanFunc = func(lanes, ids *uint64, runs *run, n, all, ask int, out *uint32, room int) (done, found int)

func scanner(f scanFunc) func(*units, []run, int, []uint32) (int, int) {
	return func(u *units, runs []run, n int, out []uint32) (done, found int) {
		if n == 0 {
			return 0, 0
		}
		return f(unsafe.SliceData(u.lanes), unsafe.SliceData(u.ids), &runs[0], n, len(runs), runsAhead, &out[0], len(out))
	}
}

func prefetchHeaders(d *directory, b int, q *row) {
	if d.homes[b] != 0 {
		return // few headers are read
	}
	prefetchHeadersAsm(&d.headers[b<<d.bits], int(q.band(b))>>(bandBits-d.bits), 1<<d.bits)
}

//go:noescape
func scanAVX512(lanes, ids *uint64, runs *run, n, all, ask int, out *uint32, room int) (done, found int)

//go:noescape
func scanAVX2(lanes, ids *uint64, runs *run, n, all, ask int, out *uint32, room int) (done, found int)

//go:noescape
func prefetchHeadersAsm(headers *uint32, at, size int)

//go:noescape
func prefetchRowsAsm(rows *uint64, ids *uint32, n int)
