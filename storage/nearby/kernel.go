// SPDX-License-Identifier: Apache-2.0

package nearby

// A kernel is the code of a search that is written for a kind of processor.
//
// scan scans the first n runs for lanes near the wanted value. It writes the
// positions that pass to out and returns how many there are and how many runs
// it finished. It stops early, with the run it was in shortened by what it
// scanned, when out has no room for another two units. Those behind are scanned
// next; it asks for their memory.
//
// lookUp reads the row numbers at positions, has the rows below top brought
// near, and writes those not met lately to ids, which is as long as positions.
// nearRows leaves in ids those of rows within the radius. Both return how many
// there are.
//
// scanHomes scans the homes of a query's bands, all but the last, which it asks
// for the memory of, in a directory with so many bits. It writes the positions
// that pass to out, which has room for all that there can be. A kernel may lack it.
//
// prefetchHeaders and prefetchHomes ask for memory that will be read soon.
type kernel struct {
	name            string
	scan            func(u *units, runs []run, n int, out []uint32) (done, found int)
	scanHomes       func(u *units, bands []homeBand, bits uint, out []uint32) (found int)
	prefetchHeaders func(d *directory, b int, q *row)
	prefetchHomes   func(u *units, b *homeBand, bits uint)
	lookUp          func(s *segment, positions []uint32, met *recent, top uint32, ids []uint32) int
	nearRows        func(s *segment, ids []uint32, q *row, radius int) int
}

const (
	runsAhead  = mostRuns
	outMinimum = 2 * unitLanes
)

// Kernels lists the kernels that this machine can run, fastest first.
func Kernels() (names []string) {
	for _, k := range kernels {
		names = append(names, k.name)
	}
	return names
}

func kernelNamed(name string) *kernel {
	for i := range kernels {
		if kernels[i].name == name {
			return &kernels[i]
		}
	}
	return &kernels[0]
}
