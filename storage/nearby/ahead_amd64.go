// SPDX-License-Identifier: Apache-2.0

package nearby

// fetchUnits asks for the lanes, row numbers and counts of units.
//
//go:noescape
func fetchUnits(lanes, ids *uint64, live *uint8, units *[bandCount]uint32)
