// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"sync"
)

// tasks are what is done beside whoever caused it, which must not wait: in the middle
// of a commit, or of a cosignature. The node's end waits for them.
type tasks struct {
	ctx    context.Context
	cancel context.CancelFunc
	mu     sync.Mutex // held while one begins
	wait   sync.WaitGroup
}

func newTasks() *tasks {
	ctx, cancel := context.WithCancel(context.Background())
	return &tasks{ctx: ctx, cancel: cancel}
}

// begin runs fn at once, unless the node ends.
func (t *tasks) begin(fn func(context.Context)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() == nil {
		t.wait.Go(func() { fn(t.ctx) })
	}
}

// stop has them end and waits for it.
func (t *tasks) stop(context.Context) error {
	t.mu.Lock()
	t.cancel()
	t.mu.Unlock()
	t.wait.Wait()
	return nil
}
