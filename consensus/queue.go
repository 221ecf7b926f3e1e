// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"sync"

	"github.com/tocsin-db/tocsin/spec"
)

// A Result tells what became of one submission: its Outcome, or the Err that
// kept it from having one.
type Result struct {
	Outcome spec.Outcome
	Err     error
}

// A ticket is one submission on its way into an entry.
type ticket struct {
	sub   spec.Submission
	size  int // upper bound of its bytes in an entry
	batch *batch
	slot  int
	state ticketState // guarded by queue.mu
}

type ticketState int

const (
	waiting ticketState = iota
	taken               // being proposed: the outcome is unknown until it is there
	dropped             // given up before it was proposed
)

// A batch collects the results of submissions that were given together.
type batch struct {
	mu      sync.Mutex
	results []Result
	settled []bool
	left    int
	done    chan struct{}
}

func newBatch(n int) *batch {
	return &batch{results: make([]Result, n), settled: make([]bool, n), left: n, done: make(chan struct{})}
}

// settle sets the result in a slot unless it has one.
func (b *batch) settle(slot int, r Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.settled[slot] {
		return
	}
	b.settled[slot], b.results[slot] = true, r
	if b.left--; b.left == 0 {
		close(b.done)
	}
}

// A queue holds the submissions that wait for an entry, in order and bounded.
type queue struct {
	maxCount int
	maxBytes int64
	wake     chan struct{} // holds a token when there is something to take

	mu     sync.Mutex
	items  []*ticket
	count  int // of items still waiting
	bytes  int64
	closed bool
}

func newQueue(maxCount int, maxBytes int64) *queue {
	return &queue{maxCount: maxCount, maxBytes: maxBytes, wake: make(chan struct{}, 1)}
}

// push appends all tickets or, when they do not fit, none.
func (q *queue) push(ts []*ticket) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	var size int64
	for _, t := range ts {
		size += int64(t.size)
	}
	switch {
	case q.closed:
		return ErrStopped
	case q.count+len(ts) > q.maxCount || q.bytes+size > q.maxBytes:
		return errQueueFull
	}
	q.items = append(q.items, ts...)
	q.count += len(ts)
	q.bytes += size
	q.signal()
	return nil
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take removes the next tickets: as many as fit into an entry, at least one
// when any waits.
func (q *queue) take(maxBytes, maxCount int) []*ticket {
	q.mu.Lock()
	defer q.mu.Unlock()
	var got []*ticket
	size := 0
	for len(q.items) > 0 && len(got) < maxCount {
		t := q.items[0]
		if t.state == waiting {
			if len(got) > 0 && size+t.size > maxBytes {
				break
			}
			size += t.size
			t.state = taken
			q.forget(t)
			got = append(got, t)
		}
		q.items[0] = nil
		q.items = q.items[1:]
	}
	if q.count > 0 {
		q.signal()
	}
	return got
}

// drop gives up the tickets that nobody has taken yet and returns them.
func (q *queue) drop(ts []*ticket) []*ticket {
	q.mu.Lock()
	defer q.mu.Unlock()
	var gone []*ticket
	for _, t := range ts {
		if t.state == waiting {
			t.state = dropped
			q.forget(t)
			gone = append(gone, t)
		}
	}
	return gone
}

// drain gives up all that waits; with closed nothing can be pushed after it.
func (q *queue) drain(closed bool) []*ticket {
	q.mu.Lock()
	items := q.items
	q.items = nil
	q.closed = q.closed || closed
	q.mu.Unlock()
	return q.drop(items)
}

func (q *queue) forget(t *ticket) {
	q.count--
	q.bytes -= int64(t.size)
}

// full reports whether what waits fills an entry.
func (q *queue) full(bytes int64, count int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes >= bytes || q.count >= count
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count
}
