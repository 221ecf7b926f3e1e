// SPDX-License-Identifier: Apache-2.0

package nearby

// fetchRows asks for rows.
func fetchRows(rows []uint64, ids []uint32) {
	if len(ids) > 0 {
		prefetchRowsAsm(&rows[0], &ids[0], len(ids))
	}
}

// fetchUnits asks for the lanes, row numbers and counts of units.
//
//go:noescape
func fetchUnits(lanes, ids *uint64, live *uint8, units *[bandCount]uint32)
