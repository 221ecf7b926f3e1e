// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
)

// Available says whether children can be confined here.
func Available() bool { return true }

// A Pool keeps a fixed number of children, started when first needed. Its
// methods may be called by several goroutines.
type Pool struct {
	conf   Config
	slots  chan *child // nil: an empty place
	closed chan struct{}
	close  sync.Once
	stats  counters
}

// Stats returns what the pool has seen so far.
func (p *Pool) Stats() Stats { return p.stats.read() }

// NewPool returns a pool. No process is started yet.
func NewPool(c Config) *Pool {
	p := &Pool{conf: c.withDefaults(), closed: make(chan struct{})}
	p.slots = make(chan *child, p.conf.Children)
	for range p.conf.Children {
		p.slots <- nil
	}
	return p
}

// Do sends a request with a file to a free child and returns its answer. It
// waits for a free child until ctx ends. When ctx or the time for a request
// ends, or the child dies, the child is killed and replaced; the error is then
// that of ctx, ErrTime, ErrMemory or ErrDied.
func (p *Pool) Do(ctx context.Context, request []byte, file *os.File) ([]byte, error) {
	answer, err := p.once(ctx, request, file)
	if errors.Is(err, errUnsent) && ctx.Err() == nil {
		// The child had died since its last answer: nobody has seen this request.
		return p.once(ctx, request, file)
	}
	return answer, err
}

func (p *Pool) once(ctx context.Context, request []byte, file *os.File) ([]byte, error) {
	c, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	timed, cancel := context.WithTimeoutCause(ctx, p.conf.Wall, ErrTime)
	defer cancel()
	answer, err := c.do(timed, request, file)
	if err != nil {
		err = c.bury(timed, err)
		p.stats.failed.Add(1)
		p.stats.ended(c.peak())
		p.conf.Log.Warn("a media child was replaced", "cause", err)
		c = nil
	} else if c.spent(p.conf) {
		p.end(c)
		c = nil
	}
	p.give(c)
	return answer, err
}

func (p *Pool) take(ctx context.Context) (*child, error) {
	select {
	case c := <-p.slots:
		return p.started(c)
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closed:
		return nil, ErrClosed
	}
}

func (p *Pool) started(c *child) (*child, error) {
	select {
	case <-p.closed:
		p.give(c)
		return nil, ErrClosed
	default:
	}
	if c != nil {
		return c, nil
	}
	c, err := start(p.conf)
	if err != nil {
		p.slots <- nil
		return nil, fmt.Errorf("starting a media child: %w", err)
	}
	p.stats.started.Add(1)
	return c, nil
}

func (p *Pool) give(c *child) {
	select {
	case <-p.closed:
		p.end(c)
		c = nil
	default:
	}
	p.slots <- c
}

// Close kills idle children at once and busy ones when their request is done.
// It returns when all are gone.
func (p *Pool) Close() {
	p.close.Do(func() {
		close(p.closed)
		for range p.conf.Children {
			p.end(<-p.slots)
		}
	})
}

func (p *Pool) end(c *child) {
	if c != nil {
		c.end()
		p.stats.ended(c.peak())
	}
}
