// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/spec"
)

// Purge makes the bytes of erased values disappear from this node's files: from what
// lies beside the store, then from the raft log, whose compaction may copy the store,
// then from the store. Nodes of further consortia are purged with it. It fails with
// NOT_FINAL when it did all but remove what a recovery put aside: that is kept until
// the log is final from the recovery on.
func (n *Node) Purge(ctx context.Context) error {
	kept, err := n.purgeBeside()
	errs := []error{err, n.purgeData(ctx)}
	for _, c := range n.further.all() {
		inner := c.node.Load()
		if inner == nil {
			continue
		}
		if err := inner.Purge(ctx); spec.CodeOf(err) == spec.CodeNotFinal {
			kept = err
		} else {
			errs = append(errs, err)
		}
	}
	return firstOf(errors.Join(errs...), kept)
}

// purgeData purges the raft log, and then the store, which forgets that a purge is due:
// not before the raft log is done.
func (n *Node) purgeData(ctx context.Context) error {
	if n.consensus != nil {
		if err := n.consensus.Erase(ctx); err != nil {
			return err
		}
	}
	return n.store.Purge(ctx)
}

// purgeBeside purges what lies in the data directory beside the store and the raft log.
// kept says why something stays that a recovery put aside, or is nil.
func (n *Node) purgeBeside() (kept, err error) {
	kept, err = n.purgeDiscarded()
	return kept, errors.Join(n.purgeOutbox(), err)
}

// purgeDiscarded removes damaged stores that were made anew, what a recovery put aside,
// once nothing takes the recovery back, and a database that either began to make and left.
func (n *Node) purgeDiscarded() (kept, err error) {
	for _, name := range []string{recoveringDir, rebuildingDir} {
		if err := os.RemoveAll(filepath.Join(n.cfg.Dir, name)); err != nil {
			return nil, err
		}
	}
	dir := filepath.Join(n.cfg.Dir, discardedDir)
	if err := removeBeginning(dir, damagedStore+"."); err != nil {
		return nil, err
	}
	left, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || len(left) == 0 {
		return nil, firstOf(err, os.RemoveAll(dir))
	}
	p, _, err := lastRecovery(n.store)
	if err != nil {
		return nil, err
	}
	if p == nil || n.final.Newest().Size < p.Size {
		return spec.Errorf(spec.CodeNotFinal, "what a recovery put aside stays in %s until the log is final from the recovery on", discardedDir), nil
	}
	return nil, os.RemoveAll(dir)
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
	return errors.Join(removeBeginning(n.cfg.Dir, "."+seedFile+"-"), removeBeginning(filepath.Join(n.cfg.Dir, outboxName), "."))
}

// removeBeginning removes what a directory holds under names that begin so. There may be
// no such directory.
func removeBeginning(dir, name string) error {
	held, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var errs []error
	for _, e := range held {
		if strings.HasPrefix(e.Name(), name) {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}
