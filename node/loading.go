// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/tocsin-db/tocsin/node/api"
)

// loading says how far a start is.
type loading struct {
	mu       sync.Mutex
	log      *slog.Logger
	done, of uint64 // live signals
}

func (l *loading) begin(log *slog.Logger) { l.log = log }

// at is told of live signals that were loaded, by any number of goroutines. Every
// tenth part goes to the log.
func (l *loading) at(done, of uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if done <= l.done || of == 0 {
		return
	}
	if 10*done/of != 10*l.done/of {
		l.log.Info("loading live signals", "percent", percent(done, of), "done", done, "of", of)
	}
	l.done, l.of = done, of
}

func percent(done, of uint64) uint64 { return min(100, 100*done/of) }

// checks is what a node answers of its readiness while it starts.
func (l *loading) checks() []api.Check {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := api.Check{Name: "index", Reason: "the store is being opened"}
	if l.of > 0 {
		c.Reason = fmt.Sprintf("the index is being loaded: %d %% of %d live signals", percent(l.done, l.of), l.of)
	}
	return []api.Check{c}
}
