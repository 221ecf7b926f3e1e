// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage"
)

// How often a node looks after its store by itself.
const (
	purgeEvery  = 24 * time.Hour // erased values whose bytes may still lie in its files
	verifyEvery = time.Hour      // every record of the state
	watchEvery  = 5 * time.Second
)

// upkeep purges and verifies the store on a schedule, and verifies it at once when
// this node finds that it may not cosign: a damaged bucket may be why.
func (n *Node) upkeep(context.Context) error {
	n.background(func(ctx context.Context) { n.every(ctx, n.cfg.PurgeEvery, purgeEvery, n.purgeDue) })
	n.background(func(ctx context.Context) {
		if n.cfg.VerifyEvery >= 0 {
			n.verifyQuietly(ctx) // opening looks at what makes the roots; this at values too
		}
		n.every(ctx, n.cfg.VerifyEvery, verifyEvery, n.verifyQuietly)
	})
	asked := false
	n.background(func(ctx context.Context) {
		n.every(ctx, watchEvery, watchEvery, func(ctx context.Context) {
			if n.cosigner != nil && n.cosigner.Refused() != nil && !asked {
				asked = true
				n.verifyQuietly(ctx)
			}
		})
	})
	return nil
}

// every calls fn again and again, byDefault apart where every is 0.
func (n *Node) every(ctx context.Context, every, byDefault time.Duration, fn func(context.Context)) {
	if every < 0 {
		return
	}
	if every == 0 {
		every = byDefault
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fn(ctx)
		}
	}
}

// purgeDue purges if something was erased since the last time. What lies beside the
// store is looked at in any case: it may be older than what the store remembers.
func (n *Node) purgeDue(ctx context.Context) {
	due, err := n.store.PurgeDue()
	if err == nil && due {
		err = n.Purge(ctx)
	} else if err == nil {
		var kept error
		kept, err = n.purgeBeside()
		err = firstOf(err, kept)
	}
	if spec.CodeOf(err) == spec.CodeNotFinal {
		n.log.Info("what a recovery put aside is kept", "reason", err)
		return
	}
	if err != nil && ctx.Err() == nil {
		n.log.Error("purging erased values", "error", err)
	}
}

func (n *Node) verifyQuietly(ctx context.Context) {
	if _, err := n.VerifyStore(ctx); err != nil && ctx.Err() == nil {
		n.log.Error("verifying the store", "error", err)
	}
}

// VerifyStore implements api.Backend. A node whose store is damaged answers no
// lookup and does not cosign any more; it stops when the damage would change what
// it writes into the log.
func (n *Node) VerifyStore(ctx context.Context) (*api.StoreReport, error) {
	v, err := n.store.Verify(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range v.Bad {
		n.log.Error("the store is damaged", "tree", b.Tree, "bucket", b.Bucket, "of", b.Of, "reason", b.Reason)
	}
	if damage := n.store.Damage(); damage != nil && n.cosigner != nil {
		n.cosigner.Suspend(damage)
	}
	return storeReport(v), nil
}

// VerifyFiles verifies the store in the data directory dir of a node that does not
// run. It fails with EAGAIN when another process has the store open.
func VerifyFiles(ctx context.Context, dir string, log *slog.Logger) (*api.StoreReport, error) {
	v, err := storage.VerifyDir(ctx, filepath.Join(dir, "fsm"), storage.Options{FS: vfs.Default, Logger: log, Fatal: func(error) {}})
	if err != nil {
		return nil, err
	}
	return storeReport(v), nil
}

func storeReport(v *storage.Verification) *api.StoreReport {
	out := &api.StoreReport{Size: v.Size, Live: v.Live, Rules: v.Rules, Derived: v.Opened, More: v.More}
	for _, b := range v.Bad {
		out.Bad = append(out.Bad, api.BadBucket{Tree: b.Tree, Bucket: b.Bucket, Of: b.Of, Reason: b.Reason})
	}
	return out
}
