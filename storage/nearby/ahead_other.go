// SPDX-License-Identifier: Apache-2.0

//go:build !amd64

package nearby

func fetchRows([]uint64, []uint32) {}

// fetchUnits does nothing here: Go has no way to ask.
func fetchUnits(lanes, ids *uint64, live *uint8, units *[bandCount]uint32) {}
