// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// compactions schedules what Pebble merges in the background: nothing until begin is
// called, so that a start has all processors and the disk to itself, and from then on
// as much at a time as Pebble's options say, which never changes. One serves one
// database.
type compactions struct {
	*pebble.ConcurrencyLimitScheduler
	begun atomic.Bool
}

func holdCompactions() *compactions {
	// With periodic granting it would look for options that have changed.
	return &compactions{ConcurrencyLimitScheduler: pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()}
}

// TrySchedule implements pebble.CompactionScheduler. Pebble remembers what was refused.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	if !c.begun.Load() {
		return false, nil
	}
	return c.ConcurrencyLimitScheduler.TrySchedule()
}

// begin lets compactions run. Giving back a grant has the next ones granted.
func (c *compactions) begin() {
	c.begun.Store(true)
	if ok, grant := c.TrySchedule(); ok {
		grant.Done()
	}
}
