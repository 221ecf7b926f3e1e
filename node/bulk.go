// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/tocsin-db/tocsin/p2p/federation"
)

// While operations are submitted here, bulk has this part of its rate: making,
// encrypting and sending it takes processors that a commit waits for.
const (
	besideCommits = 4
	commitsPause  = 100 * time.Millisecond // without any, until it has all of it again
	lookAgain     = 10 * time.Millisecond
	leastCost     = 16 << 10 // bytes that a small answer counts as: asking and finding it take processors too
)

// commits are the operations that are being seen through on this node.
type commits struct {
	now  atomic.Int64
	last atomic.Pointer[time.Time] // when one ended
}

// begin counts one until what it returns is called.
func (c *commits) begin() (end func()) {
	c.now.Add(1)
	return func() {
		t := time.Now()
		c.last.Store(&t)
		c.now.Add(-1)
	}
}

// wait reports whether there are any, or were a moment ago.
func (c *commits) wait() bool {
	last := c.last.Load()
	return c.now.Load() > 0 || last != nil && time.Since(*last) < commitsPause
}

// bulk paces all that is sent to nodes that are far behind. It implements
// federation.Pacer.
type bulk struct {
	*rate.Limiter
	slow    *rate.Limiter
	commits *commits
}

func newBulk(bytesPerSecond int, c *commits) *bulk {
	all := federation.Bulk(bytesPerSecond)
	return &bulk{all, rate.NewLimiter(all.Limit()/besideCommits, all.Burst()), c}
}

// WaitN implements federation.Pacer.
func (b *bulk) WaitN(ctx context.Context, n int) error {
	if b.commits.wait() {
		if err := b.giveWay(ctx, n); err != nil {
			return err
		}
	}
	return b.Limiter.WaitN(ctx, n)
}

// giveWay waits for a share of the slower rate, or until no commit waits any more.
func (b *bulk) giveWay(ctx context.Context, n int) error {
	r := b.slow.ReserveN(time.Now(), min(max(n, leastCost), b.slow.Burst()))
	for {
		left := r.Delay()
		if left <= 0 {
			return nil
		}
		if !b.commits.wait() {
			r.Cancel()
			return nil
		}
		select {
		case <-ctx.Done():
			r.Cancel()
			return context.Cause(ctx)
		case <-time.After(min(left, lookAgain)):
		}
	}
}
