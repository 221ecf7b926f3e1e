// SPDX-License-Identifier: Apache-2.0

package nearby

// A kernel scans runs for lanes near the wanted value. It writes the
// positions that pass to out and returns how many there are and how many runs
// it finished. It stops early, with the run it was in shortened by what it
// scanned, when out has no room for another two units. Behind runs lie
// runsAhead more that it may prefetch but does not scan.
type kernel struct {
	name     string
	scan     func(u *units, runs []run, out []uint32) (done, found int)
	prefetch func(u *units, rows []uint64, ids []uint32) // brings rows near
}

const (
	runsAhead  = 4
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
