// SPDX-License-Identifier: Apache-2.0

//go:build !race

package exact

const raceEnabled = false
