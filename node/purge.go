// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/spec"
)

// Purge makes the bytes of erased values disappear from this node's files: from what
// lies beside the store, then from the raft log, whose compaction may copy the store,
// then from the store. Nodes of further consortia are purged with it. It fails with
// NOT_FINAL when it did all but remove what a recovery put aside: that is kept until
// the log is final from the recovery on.
func (n *Node) Purge(ctx context.Context) error {
	errs := []error{n.purgeBeside()}
	if n.consensus != nil {
		errs = append(errs, n.consensus.Erase(ctx))
	}
	errs = append(errs, n.store.Purge(ctx))
	for _, c := range n.further.all() {
		if inner := c.node.Load(); inner != nil {
			errs = append(errs, inner.Purge(ctx))
		}
	}
	return errors.Join(errs...)
}

// purgeBeside purges what lies in the data directory beside the store and the raft log.
func (n *Node) purgeBeside() error { return errors.Join(n.purgeOutbox(), n.purgeDiscarded()) }

// purgeDiscarded removes damaged stores that were made anew, what a recovery put aside,
// once nothing takes the recovery back, and a database that either began to make and left.
func (n *Node) purgeDiscarded() error {
	dir := filepath.Join(n.cfg.Dir, discardedDir)
	gone, err := filepath.Glob(filepath.Join(dir, damagedStore+".*"))
	if err != nil {
		return err
	}
	for _, path := range append(gone, filepath.Join(n.cfg.Dir, recoveringDir), filepath.Join(n.cfg.Dir, rebuildingDir)) {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	kept, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(kept) == 0 {
		return os.Remove(dir)
	}
	p, _, err := lastRecovery(n.store)
	if err != nil {
		return err
	}
	if p == nil || n.final.Newest().Size < p.Size {
		return spec.Errorf(spec.CodeNotFinal, "what a recovery put aside stays in %s until the log is final from the recovery on", discardedDir)
	}
	return os.RemoveAll(dir)
}

// lastRecovery is the panel that took over by the newest recovery in the log, and its
// number; nil when there was none.
func lastRecovery(st governance.State) (*spec.PanelRecord, uint64, error) {
	clock, err := governance.Clock(st)
	if err != nil {
		return nil, 0, err
	}
	for number := clock.Panel; number > 0; number-- {
		var p spec.PanelRecord
		if err := readRecord(st, spec.PanelKey(number), &p); err != nil {
			return nil, 0, err
		}
		if p.From > 0 {
			return &p, number, nil
		}
	}
	return nil, 0, nil
}

// sweep removes what a write that was interrupted left half, before the next can
// begin: a database that was fetched, operations of the outbox.
func (n *Node) sweep(context.Context) error {
	for _, pattern := range []string{"." + seedFile + "-*", filepath.Join(outboxName, ".*")} {
		names, err := filepath.Glob(filepath.Join(n.cfg.Dir, pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}
