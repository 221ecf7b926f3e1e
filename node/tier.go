// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage"
)

// tierFile in the data directory names the tier that the store is of, where it is not
// the full one from the beginning, and how long the log was when that was decided, if a
// case did: a node that just joined, or fetches anew what it is to have, has no state
// yet that says so.
const tierFile = "tier"

func readTier(dir string) (tier string, decided uint64, err error) {
	b, err := os.ReadFile(filepath.Join(dir, tierFile))
	if errors.Is(err, fs.ErrNotExist) {
		return spec.TierFull, 0, nil
	} else if err != nil {
		return "", 0, fmt.Errorf("reading the tier: %w", err)
	}
	tier, at, changed := strings.Cut(string(b), " ")
	if changed {
		decided, err = strconv.ParseUint(at, 10, 64)
	}
	if err != nil || spec.CheckTier(spec.RoleReader, tier) != nil {
		return "", 0, spec.Errorf(spec.CodeConfig, "the file %s in the data directory names no tier", tierFile)
	}
	return tier, decided, nil
}

func writeTier(dir, tier string, decided uint64) error {
	b := []byte(tier)
	if decided > 0 {
		b = strconv.AppendUint(append(b, ' '), decided, 10)
	}
	if err := durable.Replace(filepath.Join(dir, tierFile), b, 0o600); err != nil {
		return fmt.Errorf("noting the tier: %w", err)
	}
	return nil
}

// tier is that of what this node holds.
func (n *Node) tier() string {
	if n.keyed {
		return spec.TierDigest
	}
	return spec.TierFull
}

// decidedTier is the tier that the state gives this node, or "" while it says nothing,
// or nothing as new as what made the store one of the tier that it is of.
func (n *Node) decidedTier() (string, error) {
	if n.store.Size() < n.tierSince {
		return "", nil
	}
	var who spec.OrgRecord
	err := readRecord(n.store, spec.OrgKey(n.id.Organisation.ID), &who)
	return who.Tier, err
}

// openStore opens the store of the tier that the state gives this node. One of another
// tier is removed with all that it holds: the node fetches what it is to have.
func (n *Node) openStore(context.Context) error {
	tier, since, err := readTier(n.cfg.Dir)
	if err != nil {
		return err
	}
	n.tierSince = since
	if _, err := takeRebuilt(n.cfg.Dir); err != nil {
		return err
	}
	n.onStop(func(context.Context) error {
		if n.store == nil {
			return nil
		}
		return n.store.Close()
	})
	for {
		n.keyed = tier == spec.TierDigest
		if err := n.openDatabase(); err != nil {
			return err
		}
		decided, err := n.decidedTier()
		if err != nil {
			return err
		}
		if decided == "" || decided == tier {
			return n.openChain()
		}
		n.log.Warn("a case changed this node's tier: what it holds is removed and fetched anew", "tier", decided)
		tier, n.tierSince = decided, n.store.Size()
		if err := errors.Join(writeTier(n.cfg.Dir, tier, n.tierSince), n.store.Close(), os.RemoveAll(n.storeDir())); err != nil {
			return err
		}
	}
}

func (n *Node) storeDir() string { return filepath.Join(n.cfg.Dir, "fsm") }

func (n *Node) openDatabase() (err error) {
	open := func() (*storage.Store, error) {
		return storage.Open(n.storeDir(), storage.Options{
			FS: vfs.Default, Logger: n.log, Fatal: n.fail, SnapshotEvery: n.cfg.SnapshotEvery,
			Keyed: n.keyed, Progress: n.loading.at,
		})
	}
	n.store, err = open()
	if spec.CodeOf(err) == spec.CodeTier { // a change of tier was interrupted
		if err = os.RemoveAll(n.storeDir()); err == nil {
			n.store, err = open()
		}
	}
	if err != nil {
		n.store = nil
		return err
	}
	n.replica = &replica{store: n.store, made: &n.made, keyed: n.keyed, log: n.log, changed: n.refresh, importedFile: filepath.Join(n.cfg.Dir, "imported"), filtered: n.id.Organisation.Role != spec.RoleMember}
	if err := n.replica.recallImported(); err != nil {
		return err
	}
	if err := n.replica.found(n.genesis.Genesis); err != nil {
		return err
	}
	_, err = n.directory.load(n.store)
	return err
}
