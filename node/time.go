// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"time"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/spec"
)

// tickEvery is how far log time may be behind the newest cosigned checkpoint.
const tickEvery = 30 * time.Second

// tick implements consensus.Config.Tick. An empty log begins with a bare entry,
// whose checkpoint is the first that can be cosigned. From then on the newest final
// checkpoint moves log time when it is far ahead of it, or when something is due at
// its time.
func (n *Node) tick() (*spec.Timed, bool) {
	if n.store.Size() == 0 {
		return nil, true
	}
	final := n.final.Signed()
	if final == nil {
		return nil, false
	}
	clock, err := governance.Clock(n.store)
	if err != nil {
		return nil, false
	}
	t, ok := n.chain.At(final.Size).Timed(final)
	if !ok || final.Size < clock.Ticked || t.TimeMS() < clock.TimeMS {
		return nil, false
	}
	if t.TimeMS() >= clock.TimeMS+uint64(tickEvery.Milliseconds()) {
		return t, true
	}
	due, err := governance.DeadlineDue(n.store, t.TimeMS())
	return t, err == nil && due
}

// timeWanted reports whether something is due by this node's clock for which the
// newest final checkpoint is too old.
func (n *Node) timeWanted() bool {
	now, newest := n.cfg.Now(), n.final.Newest()
	if newest.Size == 0 || now.Unix() <= newest.Time.Unix() {
		return false
	}
	due, err := governance.DeadlineDue(n.store, uint64(now.UnixMilli()))
	return err == nil && due
}

// watchTime wakes consensus when a newer checkpoint makes a tick due.
func (n *Node) watchTime(ctx context.Context) {
	for {
		changed := n.final.Changed()
		if n.consensus.IsLeader() {
			if _, due := n.tick(); due {
				n.consensus.Wake()
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}
