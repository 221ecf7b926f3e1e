// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/node/recovery"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

// Names in the data directory of a store that is made anew.
const (
	rebuildingDir = "rebuilding"  // in the making: removed when that was interrupted
	rebuiltDir    = "rebuilt"     // whole: it takes the place of the damaged one
	damagedStore  = "fsm-damaged" // the damaged one, among what is discarded
)

// takeRebuilt puts a store that was made anew into its place, and the damaged one aside.
// It ends what an interruption left.
func takeRebuilt(dir string) (aside string, err error) {
	if !exists(filepath.Join(dir, rebuiltDir)) {
		return "", nil
	}
	if exists(filepath.Join(dir, "fsm")) {
		if aside, err = putAside(dir, "fsm", damagedStore); err != nil {
			return "", err
		}
	}
	return aside, durable.Rename(filepath.Join(dir, rebuiltDir), filepath.Join(dir, "fsm"))
}

// mayRebuild reports whether an error says that a store is damaged and was not repaired.
func mayRebuild(err error) bool {
	code := spec.CodeOf(err)
	return (code == spec.CodeCorrupt || code == spec.CodeUnavailable) && !errors.Is(err, syscall.EAGAIN)
}

// A rebuilding makes the store of a node that does not run anew from its own log.
type rebuilding struct {
	*Node
	to    string
	last  *tlog.Signed // the newest final checkpoint
	head  storage.Head // of the damaged store
	fresh *storage.Store
}

// rebuild replays the log in a damaged store into a new one beside it, up to the newest
// final checkpoint, and on a sequencer to the log's end, which raft stands on. When the
// roots agree it takes the damaged one's place; before that nothing changes.
func rebuild(ctx context.Context, cfg Config) (out *api.RebuiltStore, err error) {
	b := &rebuilding{Node: &Node{cfg: cfg, log: cfg.Logger, directory: newDirectory(cfg.Now)}, to: filepath.Join(cfg.Dir, rebuildingDir)}
	defer func() {
		if b.store != nil {
			err = errors.Join(err, b.store.Close())
		}
	}()
	if err := b.openLog(ctx); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(b.to); err != nil {
		return nil, err
	}
	if err := b.repeat(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("making the store anew from its own log: %w", err), os.RemoveAll(b.to))
	}
	out = b.account()
	if err := errors.Join(b.store.Close(), durable.Rename(b.to, filepath.Join(cfg.Dir, rebuiltDir))); err != nil {
		return nil, err
	}
	b.store = nil
	out.Aside, err = takeRebuilt(cfg.Dir)
	return out, err
}

// openLog opens what is needed to read the log and to tell what of it is final. Which panels
// there were is taken from their proofs alone.
func (b *rebuilding) openLog(ctx context.Context) error {
	tier, _, err := readTier(b.cfg.Dir)
	if err != nil {
		return err
	}
	b.keyed = tier == spec.TierDigest
	if err := b.openIdentity(ctx); err != nil {
		return err
	}
	if b.store, err = storage.OpenLog(b.storeDir(), b.storeOptions()); err != nil {
		return err
	}
	if b.chain, err = tlog.NewChain(b.genesis.Genesis); err != nil {
		return err
	}
	if err := (cosign.LinkStore{Dir: b.linksDir()}).Load(b.chain); err != nil {
		return err
	}
	keeper, err := cosign.OpenKeeper(filepath.Join(b.cfg.Dir, "final", "checkpoint"), b.chain)
	if err != nil {
		return err
	}
	b.last, b.head = keeper.Signed(), b.store.Head()
	if err := keeper.Close(); err != nil {
		return err
	}
	if b.last == nil {
		return spec.Errorf(spec.CodeNotFinal, "no final checkpoint is known here that this node's log could be held against")
	}
	if b.head.Size < b.last.Size {
		return spec.Errorf(spec.CodeCorrupt, "this node's log ends at %d leaves, below the %d that are final", b.head.Size, b.last.Size)
	}
	return nil
}

func (b *rebuilding) storeOptions() storage.Options {
	return storage.Options{FS: vfs.Default, Logger: b.log, Keyed: b.keyed, SnapshotEvery: b.cfg.SnapshotEvery, Fatal: func(err error) { b.log.Error("the database failed", "error", err) }}
}

// repeat makes the new store.
func (b *rebuilding) repeat(ctx context.Context) error {
	links, err := b.chain.Links(b.last.Size)
	if err != nil {
		return err
	}
	note, err := b.chain.Note(b.last)
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	dumped := make(chan struct{})
	go func() {
		defer close(dumped)
		w.CloseWithError(recovery.Dump(b.store, b.genesis.Genesis, links, note, b.last.Size, w))
	}()
	role := b.id.Organisation.Role
	err = recovery.Rebuild(ctx, r, b.genesis.Genesis, b.last.Checkpoint, recovery.Into{
		Dir: b.to, Keyed: b.keyed, Withheld: role != spec.RoleMember && role != spec.RoleReader,
	})
	r.Close()
	<-dumped
	if err != nil {
		return err
	}
	if b.fresh, err = storage.Open(b.to, b.storeOptions()); err != nil {
		return err
	}
	return errors.Join(b.tail(), b.fresh.Close())
}

// tail replays what a sequencer applied behind the final checkpoint, and notes where in
// raft it stands. Others fetch it again.
func (b *rebuilding) tail() error {
	if b.head.Applied.Index == 0 {
		return b.fresh.Sync()
	}
	tx, err := b.fresh.Begin()
	if err != nil {
		return err
	}
	defer tx.Drop()
	err = recovery.Groups(b.store, b.last.Size, b.head.Size, func(leaves [][]byte, openings map[spec.Hash]*spec.Opening) error {
		return governance.Replay(tx, leaves, openings)
	})
	if err != nil {
		return err
	}
	if tx.Size() != b.head.Size || tx.LogRoot() != b.head.Root {
		return spec.Errorf(spec.CodeCorrupt, "this node's log behind the %d leaves that are final is not what it was", b.last.Size)
	}
	return errors.Join(tx.Commit(b.head.Applied), b.fresh.Sync())
}

// account says what was made, and what could not be.
func (b *rebuilding) account() *api.RebuiltStore {
	out := &api.RebuiltStore{Size: b.last.Size, Final: b.last.Size, Lost: []string{"the snapshots that it kept for others: there is one again at the next snapshot size"}}
	if b.head.Applied.Index > 0 {
		out.Size = b.head.Size
	} else if behind := b.head.Size - b.last.Size; behind > 0 {
		out.Lost = append(out.Lost, fmt.Sprintf("%d leaves behind the last final checkpoint: the node fetches them again", behind))
	}
	return out
}
