// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// announceAfter is how long after it became final something is announced. Those that
// are pushed to come first; by then most of the others have it from elsewhere, and what
// became final meanwhile is announced with it.
const announceAfter = 100 * time.Millisecond

// tidings tell the streams of a server what is final, so that one goroutine waits for
// the source and not one for each: those that are pushed to at once, those that are
// announced to some time later.
type tidings struct {
	src    Source
	final  bell
	due    bell            // to be announced
	failed context.Context // done while there are streams: the source failed, its cause says how
	stop   context.CancelCauseFunc
	tasks  sync.WaitGroup

	mu    sync.Mutex // guards the announcement that was encoded last
	note  []byte
	frame []byte
}

// follow makes tidings of a source, until end is called.
func follow(src Source) *tidings {
	ctx, stop := context.WithCancelCause(context.Background())
	t := &tidings{src: src, failed: ctx, stop: stop}
	size, _ := src.Final()
	t.final.tell(size)
	t.due.tell(size)
	t.tasks.Go(func() {
		at := size
		for {
			if err := src.Wait(ctx, at); err != nil {
				stop(err)
				return
			}
			at, _ = src.Final()
			t.final.tell(at)
		}
	})
	t.tasks.Go(func() { t.announce(ctx, size) })
	return t
}

// announce rings what is due, until ctx ends.
func (t *tidings) announce(ctx context.Context, size uint64) {
	for {
		select {
		case <-t.final.above(size):
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(announceAfter):
		case <-ctx.Done():
			return
		}
		size = t.final.now()
		t.due.tell(size)
	}
}

// end returns once nothing follows the source any more.
func (t *tidings) end() {
	t.stop(nil)
	t.tasks.Wait()
}

// ihave is the announcement of the newest final checkpoint: the same bytes for all.
func (t *tidings) ihave() (size uint64, frame []byte, err error) {
	size, note := t.src.Final()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.frame == nil || !bytes.Equal(t.note, note) {
		if t.frame, err = encode(kindIHave, &ihave{Size: size, Note: note}); err != nil {
			return 0, nil, err
		}
		t.note = note
	}
	return size, t.frame, nil
}

// A bell tells any number of goroutines that a size has grown. The zero bell is at 0.
type bell struct {
	mu      sync.Mutex
	size    uint64
	changed chan struct{} // closed when size grows; nil: nobody waits
}

var rung = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (b *bell) tell(size uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if size <= b.size {
		return
	}
	b.size = size
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

func (b *bell) now() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size
}

// above is closed once the size is above another.
func (b *bell) above(size uint64) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size > size {
		return rung
	}
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.changed
}
