// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"
	"fmt"
	"time"
)

// Erase removes everything that is applied from the raft log, from its file
// too, so that values which a retraction erased from the database do not stay
// in it. It tries again until ctx ends, since raft takes no snapshot before it
// has applied an entry since it started, or while its configuration changes.
//
// Only this node's log is erased; each node erases its own. A follower that
// lags behind is sent a snapshot afterwards.
func (n *Node) Erase(ctx context.Context) error {
	for {
		err := n.erase()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return fmt.Errorf("erase the raft log: %w (last: %v)", ctx.Err(), err)
		case <-n.quit:
			return ErrStopped
		case <-n.brk.down:
			return ErrStopped
		}
	}
}

func (n *Node) erase() error {
	if !n.compacting.TryLock() {
		return fmt.Errorf("another compaction is under way")
	}
	defer n.compacting.Unlock()
	if err := n.compact(0); err != nil {
		return err
	}
	return n.log.rewrite()
}

// Scrub reads the whole raft log once and verifies every checksum. Damage
// stops the node with ExitCorrupt.
func (n *Node) Scrub() error { return n.log.scrub(n.quit) }
