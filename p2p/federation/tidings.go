// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"sync"
	"time"
)

// announceAfter is how long after it became final something is announced. Those that
// are pushed to come first; by then most of the others have it from elsewhere, and what
// became final meanwhile is announced with it.
const announceAfter = 100 * time.Millisecond

// tidings wake all streams that are announced to at once, some time after those that
// are pushed to. The zero tidings know of nothing.
type tidings struct {
	mu      sync.Mutex
	size    uint64        // final, and due to be announced
	changed chan struct{} // closed when size grows; nil: nobody waits
	stop    context.CancelFunc
}

// start follows a source until end is called.
func (t *tidings) start(src Source) {
	ctx, cancel := context.WithCancel(context.Background())
	t.mu.Lock()
	t.stop = cancel
	t.mu.Unlock()
	size, _ := src.Final()
	t.tell(size)
	go func() {
		for src.Wait(ctx, size) == nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(announceAfter):
			}
			size, _ = src.Final()
			t.tell(size)
		}
	}()
}

func (t *tidings) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stop()
}

func (t *tidings) tell(size uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if size <= t.size {
		return
	}
	t.size = size
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// now is the size that is to be announced.
func (t *tidings) now() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.size
}

// wait returns nil once more than size is to be announced, else ctx's error.
func (t *tidings) wait(ctx context.Context, size uint64) error {
	for {
		t.mu.Lock()
		if t.size > size {
			t.mu.Unlock()
			return nil
		}
		if t.changed == nil {
			t.changed = make(chan struct{})
		}
		changed := t.changed
		t.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
