// SPDX-License-Identifier: Apache-2.0

package nearby

// readRuns reads runs of lines at all but the last readAhead places, and asks
// for each that far ahead.
func readRuns(lanes []uint64, at []uint32, lines int) (sum uint64) {
	return readRunsAsm(&lanes[0], &at[0], len(at)-readAhead, lines)
}

//go:noescape
func readRunsAsm(lanes *uint64, at *uint32, n, lines int) (sum uint64)
