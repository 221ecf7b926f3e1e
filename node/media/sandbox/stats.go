// SPDX-License-Identifier: Apache-2.0

package sandbox

import "sync/atomic"

// Stats says what a pool has seen.
type Stats struct {
	Started int64 // children
	Failed  int64 // children thrown away because a request failed
	Peak    int64 // bytes: the largest resident memory of a child that has ended
}

type counters struct{ started, failed, peak atomic.Int64 }

func (c *counters) read() Stats {
	return Stats{c.started.Load(), c.failed.Load(), c.peak.Load()}
}

func (c *counters) ended(peak int64) {
	for old := c.peak.Load(); peak > old && !c.peak.CompareAndSwap(old, peak); old = c.peak.Load() {
	}
}
