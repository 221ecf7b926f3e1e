// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/spec"
)

// gatherReceipts is how long a member gathers decisions before it signs that it
// applied them, and so the least time between two receipts.
const gatherReceipts = 10 * time.Second

// lookEvery is the least time between two looks at what was decided: a receipt is
// that much late at most.
const lookEvery = 5 * time.Millisecond

// maxUnconfirmed bounds how many decisions wait to be confirmed. Of more, the
// newest are: a receipt for a decision covers those before it.
const maxUnconfirmed = 8 * spec.MaxReports

// confirm signs a member's propagation receipts: when this node had applied a
// decision, by its own clock.
func (n *Node) confirm(context.Context) error {
	if n.id.Organisation.Role != spec.RoleMember {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c := &confirmer{n: n, every: n.cfg.Receipts}
		if c.every == 0 {
			c.every = gatherReceipts
		}
		if err := c.run(ctx); ctx.Err() == nil {
			n.fail(err)
		}
	}()
	n.onStop(func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
	return nil
}

// A confirmer watches the log of one node.
type confirmer struct {
	n       *Node
	every   time.Duration
	next    uint64           // decisions from this log index on were not seen
	pending []spec.AppliedAt // seen and not confirmed
}

func (c *confirmer) run(ctx context.Context) error {
	var last spec.ReceiptRecord
	if err := readRecord(c.n.store, spec.ReceiptKey(c.n.id.Organisation.ID), &last); err != nil {
		return err
	}
	c.next = last.Index + 1
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	grown := make(chan struct{})
	watching.Go(func() { c.watch(ctx, grown) })
	var due <-chan time.Time
	for {
		if err := c.look(); err != nil {
			return err
		}
		if due == nil && len(c.pending) > 0 {
			due = c.n.after(c.every)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-due:
			due = nil
			c.send(ctx)
		case <-grown:
		}
	}
}

// watch says when the log grew, at most once in lookEvery.
func (c *confirmer) watch(ctx context.Context, grown chan<- struct{}) {
	for {
		size := c.n.store.Size()
		select {
		case grown <- struct{}{}: // what is behind size is looked at after this
		case <-ctx.Done():
			return
		}
		if c.n.store.Wait(ctx, size) != nil { // ctx ended, or the store failed, which ends the node
			return
		}
		select {
		case <-c.n.after(lookEvery):
		case <-ctx.Done():
			return
		}
	}
}

// look notes the decisions that are new.
func (c *confirmer) look() error {
	now := uint64(c.n.cfg.Now().UnixMilli())
	err := c.n.store.RecordsFrom(spec.DecidedPrefix, spec.DecidedKey(c.next), func(key, value []byte) bool {
		if index, _, ok := spec.ParseDecided(key, value); ok {
			c.pending = append(c.pending, spec.AppliedAt{Index: index, AtMS: now})
			c.next = index + 1
		}
		return true
	})
	if over := len(c.pending) - maxUnconfirmed; over > 0 {
		c.pending = append([]spec.AppliedAt(nil), c.pending[over:]...)
	}
	return err
}

// send signs one receipt. What could not be handed in is tried again with the
// next.
func (c *confirmer) send(ctx context.Context) {
	batch := c.pending[:min(len(c.pending), spec.MaxReports)]
	if _, err := c.n.submit(ctx, &spec.Applied{At: batch}, nil); err != nil {
		c.n.log.Debug("a propagation receipt was not taken", "code", spec.CodeOf(err))
		return
	}
	c.pending = c.pending[len(batch):]
}
