// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

const (
	watchEvery    = 500 * time.Millisecond
	applyTransfer = 5 * time.Second  // a leader whose group hangs this long hands leadership on
	applyFatal    = 10 * time.Second // a node whose group hangs this long must be restarted
	minTrailing   = 64
)

// watch looks after what raft does not notice: a group that hangs, and a log that
// has grown by bytes rather than by entries. A hanging append is the gate's business.
func (n *Node) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-n.quit:
			return
		case <-n.brk.down:
			return
		case <-tick.C:
			n.watchApply()
			n.watchLog()
		}
	}
}

// watchApply: raft keeps a leader whose state machine hangs, for ever. The
// transfer is tried again until it works or the node must be restarted, since
// the followers may only just be catching up.
func (n *Node) watchApply() {
	hung := n.fsm.hung()
	switch {
	case hung > applyFatal:
		n.brk.trip(&Fault{Exit: ExitStuck, Op: "apply entries", Err: fmt.Errorf("a group has done nothing for %v", hung.Round(time.Second))})
	case hung > applyTransfer && n.raft.State() == raft.Leader:
		n.cfg.Logger.Warn("applying hangs: handing leadership on", "for", hung)
		ctx, cancel := context.WithTimeout(context.Background(), applyFatal-hung)
		defer cancel()
		if err := n.Transfer(ctx); err != nil {
			n.cfg.Logger.Warn("cannot hand leadership on", "error", err)
		}
	}
}

// watchLog has the log compacted when it has grown by SnapshotBytes, and
// leaves fewer trailing entries when they are large.
func (n *Node) watchLog() {
	size, entries := n.log.bytes.Load(), n.log.entries.Load()
	if size < n.cfg.SnapshotBytes || entries == 0 {
		return
	}
	n.log.bytes.Store(0)
	n.log.entries.Store(0)
	trailing := uint64(n.cfg.SnapshotBytes / (size/entries + 1))
	n.tasks.Go(func() {
		n.compacting.Lock()
		defer n.compacting.Unlock()
		if err := n.compact(min(max(trailing, minTrailing), trailingEntries)); err != nil {
			n.cfg.Logger.Warn("cannot compact the raft log", "error", err)
		}
	})
}

// compact makes the database durable and deletes all but the trailing entries
// from the log. It is called with n.compacting held.
func (n *Node) compact(trailing uint64) error {
	was := n.raft.ReloadableConfig()
	now := was
	now.TrailingLogs = trailing
	if err := n.raft.ReloadConfig(now); err != nil {
		return err
	}
	err := n.raft.Snapshot().Error()
	if e := n.raft.ReloadConfig(was); err == nil {
		err = e
	}
	return err
}
