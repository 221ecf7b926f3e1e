// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/recovery"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

// ReviewRecovery implements api.Recoveries.
func (n *Node) ReviewRecovery(_ context.Context, file []byte) (*api.RecoveryReview, error) {
	f, r, err := reviewed(n.genesis.Genesis, file)
	if err != nil {
		return nil, err
	}
	err = review(r, f, n.store, n.genesis.Genesis, n.final.Newest().Size)
	if err == nil && r.Refused == "" {
		r.refuse(maySit(n.cfg.Dir, n.id, &f.Body))
	}
	return &r.RecoveryReview, err
}

// ReviewRecoveryFiles is ReviewRecovery of a node that does not run, of which there
// may be no more than its keys and the genesis document. It fails with EAGAIN when
// another process has the store open.
func ReviewRecoveryFiles(dir string, file []byte) (*api.RecoveryReview, error) {
	g, err := identity.LoadGenesis(dir)
	if err != nil {
		return nil, err
	}
	id, err := identity.Load(dir)
	if err != nil {
		return nil, err
	}
	f, r, err := reviewed(g.Genesis, file)
	if err != nil {
		return nil, err
	}
	r.refuse(maySit(dir, id, &f.Body))
	if !exists(filepath.Join(dir, "fsm")) {
		return &r.RecoveryReview, nil
	}
	st, err := storage.Open(filepath.Join(dir, "fsm"), storage.Options{FS: vfs.Default, Logger: slog.New(slog.DiscardHandler), Fatal: func(error) {}})
	if err != nil {
		return nil, err
	}
	defer st.Close()
	chain, _, err := f.Check(g.Genesis)
	if err != nil {
		return nil, err
	}
	known, err := knownFinal(dir, chain)
	if err != nil {
		return nil, err
	}
	return &r.RecoveryReview, review(r, f, st, g.Genesis, known)
}

// DumpRecovery writes the log of a node that does not run, up to the checkpoint from
// which a recovery goes on, with the openings that it holds: what ApplyRecovery takes as
// Dump on a node whose own log is shorter. It opens hash values, and is not for everybody.
func DumpRecovery(dir string, file []byte, w io.Writer) error {
	g, err := identity.LoadGenesis(dir)
	if err != nil {
		return err
	}
	f, err := recovery.Parse(file)
	if err != nil {
		return err
	}
	_, final, err := f.Check(g.Genesis)
	if err != nil {
		return err
	}
	if !exists(filepath.Join(dir, "fsm")) {
		return spec.Errorf(spec.CodeRecovery, "this node has no log: take that of a node that has it")
	}
	st, err := storage.Open(filepath.Join(dir, "fsm"), storage.Options{FS: vfs.Default, Logger: slog.New(slog.DiscardHandler), Fatal: func(error) {}})
	if err != nil {
		return err
	}
	defer st.Close()
	if st.Size() < final.Size {
		return spec.Errorf(spec.CodeRecovery, "this node's log of %d leaves is shorter than the %d that the recovery goes on from: take that of a node that has it", st.Size(), final.Size)
	}
	root, err := tlog.Root(st, final.Size)
	if err != nil {
		return err
	}
	if root != final.Root {
		return spec.Errorf(spec.CodeForked, "this node's log of %d leaves is another than that which the recovery goes on from", final.Size)
	}
	return recovery.Dump(st, g.Genesis, f.Links, f.Note, final.Size, w)
}

// knownFinal is the size of the newest final checkpoint in the files of a node, 0 where
// there is none. chain has the panels that a recovery shows, which may be more than the
// files do.
func knownFinal(dir string, chain *tlog.Chain) (uint64, error) {
	if !exists(filepath.Join(dir, "final", "checkpoint")) {
		return 0, nil
	}
	if err := (cosign.LinkStore{Dir: filepath.Join(dir, "final/handoffs")}).Load(chain); err != nil {
		return 0, err
	}
	keeper, err := cosign.OpenKeeper(filepath.Join(dir, "final/checkpoint"), chain)
	if err != nil {
		return 0, err
	}
	return keeper.Newest().Size, keeper.Close()
}

type reviewing struct{ api.RecoveryReview }

func (r *reviewing) refuse(why error) {
	if why != nil && r.Refused == "" {
		r.Refused = why.Error()
	}
}

// reviewed verifies a recovery from the genesis document, and says what that tells.
func reviewed(g *spec.Genesis, file []byte) (*recovery.File, *reviewing, error) {
	f, err := recovery.Parse(file)
	if err != nil {
		return nil, nil, err
	}
	if _, _, err := f.Check(g); err != nil {
		return nil, nil, err
	}
	r := &reviewing{api.RecoveryReview{
		Size: f.Body.Size, Root: f.Body.Root.String(), Epoch: f.Body.Epoch,
		Signed: append([]string{}, f.Signers()...), Bad: []string{}, Operations: []string{},
	}}
	for _, s := range f.Body.Seats {
		r.Sequencers = append(r.Sequencers, api.RecoverySeat{Organisation: s.Org, CosignKey: s.Key[:]})
	}
	return f, r, nil
}

// review holds a recovery against the log and the state of a node that knows a final
// log of a size.
func review(r *reviewing, f *recovery.File, st *storage.Store, g *spec.Genesis, known uint64) error {
	if r.Log = st.Size(); r.Log == 0 {
		return nil
	}
	var clock spec.Clock
	if err := readRecord(st, spec.ClockKey, &clock); err != nil {
		return err
	}
	r.Known, r.Members, r.Required = true, int(clock.Members), spec.RecoveryQuorum(clock.Members)
	for i, env := range f.Signed {
		ok, err := signedInForce(st, g, env)
		if err != nil {
			return err
		}
		if !ok {
			r.Bad = append(r.Bad, r.Signed[i])
		}
	}
	r.Missing = max(0, r.Required-len(r.Signed)+len(r.Bad))
	if known > r.Size {
		r.refuse(spec.Errorf(spec.CodeRecovery, "this node knows a final log of %d leaves, beyond the recovery's %d: draft one here", known, r.Size))
	}
	if r.Log < r.Size || st.First() > r.Size {
		return nil
	}
	root, err := tlog.Root(st, r.Size)
	if err != nil {
		return err
	}
	if root != f.Body.Root {
		r.refuse(spec.Errorf(spec.CodeForked, "this node's log of %d leaves is another than that which the recovery goes on from", r.Size))
		return nil
	}
	r.Discarded = r.Log - r.Size
	lost, err := operationsBehind(st, r.Size)
	for _, id := range lost {
		r.Operations = append(r.Operations, id.String())
	}
	return err
}

// signedInForce reports whether a member signed with a key that is in force.
func signedInForce(st *storage.Store, g *spec.Genesis, env []byte) (bool, error) {
	op, err := spec.ParseEnvelope(env)
	if err != nil {
		return false, err
	}
	var who spec.OrgRecord
	if err := readRecord(st, spec.OrgKey(op.Op.Org), &who); err != nil {
		return false, err
	}
	return who.Organisation.Role == spec.RoleMember && slices.ContainsFunc(who.OpKeys(), func(k spec.PublicKey) bool {
		return k.ID() == op.Op.Key && op.Verify(g.Origin(), k)
	}), nil
}

// operationsBehind lists the operations that a log holds behind a size.
func operationsBehind(st *storage.Store, from uint64) (ids []spec.Hash, err error) {
	for at, size := from, st.Size(); at < size; {
		leaves, err := st.Leaves(at, 1<<20)
		if err != nil {
			return nil, err
		}
		if len(leaves) == 0 {
			return nil, spec.Errorf(spec.CodeCorrupt, "the log ends at %d of %d leaves", at, size)
		}
		for _, l := range leaves {
			if spec.IsEnvelope(l) {
				ids = append(ids, spec.LeafHash(l))
			}
		}
		at += uint64(len(leaves))
	}
	return ids, nil
}
