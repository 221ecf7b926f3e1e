// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux && !race

package pages

const noReserve = 0

func advise([]byte) {}
