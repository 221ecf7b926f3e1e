// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// streamGrace is how long a request whose body still comes goes on when the server
// closes: what was sent is answered, and whoever sends slowly holds nothing up.
const streamGrace = 2 * time.Second

type endingKey struct{}

// endingOf is done once the server of a request closes.
func endingOf(ctx context.Context) context.Context {
	if e, ok := ctx.Value(endingKey{}).(context.Context); ok {
		return e
	}
	return context.Background()
}

// A pace moves the deadlines of a request whose body is read while it is answered: on
// as long as it gets on, but never beyond its end.
type pace struct {
	conn   *http.ResponseController
	ending context.Context
	stop   func() bool // lets go of the server
	mu     sync.Mutex
	end    time.Time // zero: there is none
}

// newPace begins a request that may take most in all; 0: as long as it likes.
func newPace(ctx context.Context, conn *http.ResponseController, most time.Duration) *pace {
	p := &pace{conn: conn, ending: endingOf(ctx)}
	if most > 0 {
		p.end = time.Now().Add(most)
	}
	p.stop = context.AfterFunc(p.ending, p.cut)
	return p
}

// on buys time for the next read and write.
func (p *pace) on(read, write time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.set(now.Add(read), now.Add(write))
}

// cut leaves a moment.
func (p *pace) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if end := time.Now().Add(streamGrace); p.end.IsZero() || end.Before(p.end) {
		p.end = end
	}
	p.set(p.end, p.end)
}

// set moves the deadlines. On a connection without them the server's own hold.
func (p *pace) set(read, write time.Time) {
	if !p.end.IsZero() && read.After(p.end) {
		read = p.end
	}
	if !p.end.IsZero() && write.After(p.end) {
		write = p.end
	}
	_, _ = p.conn.SetReadDeadline(read), p.conn.SetWriteDeadline(write)
}
