// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/witness"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

// RepairFiles is RepairStore for a node that does not run, and may not start for what
// is damaged: where peers have no snapshot to repair it with, the store is made anew from
// its own log. It opens the store for repairs alone and connects outwards, under the
// node's own key, to those that it follows by configuration and to the members. Neither
// consensus nor cosigning takes part. It fails with EAGAIN when another process has the store open.
func RepairFiles(ctx context.Context, cfg Config) (*api.RepairReport, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Listen = nil
	if _, err := takeRebuilt(cfg.Dir); err != nil {
		return nil, err
	}
	all := &api.RepairReport{}
	for { // live signals can be told once the records of the rules are right
		r, again, err := repairOnce(ctx, cfg)
		if r != nil {
			r.Buckets = append(repairedOf(all), r.Buckets...)
			all = r
		}
		if err == nil && again {
			continue
		}
		if err != nil && !mayRebuild(err) || err == nil && len(repairedOf(all)) == len(all.Buckets) {
			return all, err
		}
		return all, rebuildInto(ctx, cfg, all, err)
	}
}

// ownLog is where buckets came from when the whole store was made anew.
const ownLog = "its own log"

// rebuildInto makes the store anew where peers could not repair it, for the reason
// given or as the report says.
func rebuildInto(ctx context.Context, cfg Config, r *api.RepairReport, reason error) error {
	made, err := rebuild(ctx, cfg)
	for i := range r.Buckets {
		switch b := &r.Buckets[i]; {
		case b.Repaired:
		case err != nil:
			b.Reason += "; " + err.Error()
		default:
			b.Repaired, b.From, b.Reason = true, ownLog, ""
		}
	}
	if r.Rebuilt = made; err != nil && reason != nil {
		return fmt.Errorf("%w; %w", reason, err)
	}
	return nil
}

func repairedOf(r *api.RepairReport) (out []api.RepairedBucket) {
	for _, b := range r.Buckets {
		if b.Repaired {
			out = append(out, b)
		}
	}
	return out
}

// repairOnce repairs what can be told to be damaged, and reports whether there may be
// more to do then.
func repairOnce(ctx context.Context, cfg Config) (r *api.RepairReport, again bool, err error) {
	n := &Node{cfg: cfg, book: &witness.Book{}, log: cfg.Logger, directory: newDirectory(cfg.Now), tasks: newTasks(), promoted: make(chan struct{}, 1), done: make(chan struct{}), mending: true}
	defer func() { err = errors.Join(err, n.close(context.WithoutCancel(ctx))) }()
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"loading the identity", n.openIdentity},
		{"opening the store", n.openDamaged},
		{"opening what is final", n.openFinal},
		{"starting the network", n.openOutwards},
	} {
		if err := step.do(ctx); err != nil {
			return nil, false, fmt.Errorf("%s: %w", step.what, err)
		}
	}
	if r, err = n.RepairStore(ctx); err != nil {
		return r, false, err
	}
	return r, len(repairedOf(r)) > 0, nil
}

// openDamaged opens the store for repairs. Who is enrolled, and which panels there
// were, is taken from the founding document where its records cannot be read: what comes from anybody is
// verified.
func (n *Node) openDamaged(ctx context.Context) (err error) {
	tier, _, err := readTier(n.cfg.Dir)
	if err != nil {
		return err
	}
	n.keyed = tier == spec.TierDigest
	n.store, err = storage.OpenDamaged(ctx, n.storeDir(), storage.Options{
		FS: vfs.Default, Logger: n.log, Fatal: n.fail, SnapshotEvery: n.cfg.SnapshotEvery, Keyed: n.keyed,
	})
	if err != nil {
		return err
	}
	n.onStop(func(context.Context) error { return n.store.Close() })
	n.replica = &replica{store: n.store, keyed: n.keyed, log: n.log}
	if _, err := n.directory.load(n.store); err != nil {
		n.log.Warn("the enrolled organisations cannot be read: those of the founding document are asked", "error", err)
		if err := n.directory.found(n.genesis.Genesis); err != nil {
			return err
		}
	}
	if n.chain, err = tlog.NewChain(n.genesis.Genesis); err != nil {
		return err
	}
	n.links.Dir = n.linksDir()
	if err := n.links.Load(n.chain); err != nil {
		return err
	}
	if err := n.learnPanels(); err != nil {
		n.log.Warn("panels cannot be read: those that are proved are known", "error", err)
	}
	return nil
}

// openOutwards opens a host that dials alone.
func (n *Node) openOutwards(context.Context) (err error) {
	n.host, err = p2p.NewHost(p2p.Config{Key: n.id.Libp2p, Directory: n.directory, Logger: n.log})
	if err != nil {
		return err
	}
	n.onStop(func(context.Context) error { return n.host.Close() })
	n.onStop(n.tasks.stop)
	if err := n.pinUpstreams(); err != nil {
		return err
	}
	return n.keepConnected()
}
