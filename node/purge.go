// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"time"
)

// purgeEvery is how often a node looks for erased values whose bytes may still lie
// in its files.
const purgeEvery = 24 * time.Hour

// Purge makes the bytes of erased values disappear from this node's files: the
// raft log first, whose compaction may copy the store, then the store.
func (n *Node) Purge(ctx context.Context) error {
	if n.consensus != nil {
		if err := n.consensus.Erase(ctx); err != nil {
			return err
		}
	}
	return n.store.Purge(ctx)
}

// keepPurged purges once a day if something was erased.
func (n *Node) keepPurged(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(purgeEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			due, err := n.store.PurgeDue()
			if err == nil && due {
				err = n.Purge(ctx)
			}
			if err != nil && ctx.Err() == nil {
				n.log.Error("purging erased values", "error", err)
			}
		}
	}()
	n.onStop(func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
	return nil
}
