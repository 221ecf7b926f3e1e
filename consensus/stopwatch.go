// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"sync"
	"time"
)

// A stopwatch tells how long the longest of the operations under way has taken
// so far. It works for operations that never return.
type stopwatch struct {
	mu   sync.Mutex
	next uint64
	open map[uint64]time.Time
}

// start notes the beginning of an operation; the returned func its end.
func (w *stopwatch) start() (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == nil {
		w.open = make(map[uint64]time.Time)
	}
	id := w.next
	w.next++
	w.open[id] = time.Now()
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.open, id)
	}
}

// longest is zero when nothing is under way.
func (w *stopwatch) longest() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var longest time.Duration
	for _, begun := range w.open {
		longest = max(longest, time.Since(begun))
	}
	return longest
}
