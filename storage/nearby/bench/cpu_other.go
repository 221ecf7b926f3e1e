// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package bench

import "time"

func cpuTime() (time.Duration, bool) { return 0, false }
