// SPDX-License-Identifier: Apache-2.0

//go:build !amd64

package nearby

import "sync/atomic"

// readRuns reads runs of lines at all but the last readAhead places. They do
// not depend on each other, so the processor overlaps them.
func readRuns(lanes []uint64, at []uint32, lines int) (sum uint64) {
	for _, a := range at[:len(at)-readAhead] {
		for l := range uint32(lines) {
			sum += atomic.LoadUint64(&lanes[(a+l)*laneWords])
		}
	}
	return sum
}
