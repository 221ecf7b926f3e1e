// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/recovery"
	"github.com/tocsin-db/tocsin/p2p/raftnet"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// DraftRecovery makes the file of a recovery that goes on from the newest final
// checkpoint that this node knows, with these sequencers. One without a key cosigns
// with the one that it has.
func (n *Node) DraftRecovery(_ context.Context, seats []spec.Seat) ([]byte, error) {
	final := n.final.Signed()
	if final == nil {
		return nil, spec.Errorf(spec.CodeNotFinal, "nothing is final yet that could be gone on from")
	}
	epoch, err := n.epochAt(final.Size)
	if err != nil {
		return nil, err
	}
	seats = slices.Clone(seats)
	for i := range seats {
		who, err := n.memberOf(seats[i].Org)
		if err != nil {
			return nil, err
		}
		if seats[i].Key == (spec.PublicKey{}) {
			seats[i].Key = who.Organisation.CosignKey
		}
	}
	f, err := recovery.Draft(n.genesis.Genesis, n.chain, final, epoch+1, seats)
	if err != nil {
		return nil, err
	}
	return f.Marshal()
}

// epochAt is the epoch of the state at a size of the log at which a group ends.
func (n *Node) epochAt(size uint64) (uint64, error) {
	leaves, err := n.store.Leaves(size-1, 1)
	if err != nil {
		return 0, err
	}
	if len(leaves) == 0 {
		return 0, spec.Errorf(spec.CodeRecovery, "this node's log does not reach %d leaves", size)
	}
	leaf, err := spec.ParseLeaf(leaves[0])
	if err != nil {
		return 0, err
	}
	if leaf.StateRoot == nil {
		return 0, spec.Errorf(spec.CodeRecovery, "no group of leaves ends at size %d", size)
	}
	return leaf.StateRoot.Epoch, nil
}

func (n *Node) memberOf(org string) (*spec.OrgRecord, error) {
	who := new(spec.OrgRecord)
	if err := readRecord(n.store, spec.OrgKey(org), who); err != nil {
		return nil, err
	}
	if who.Organisation.Role != spec.RoleMember {
		return nil, spec.Errorf(spec.CodePolicy, "%q is no member: a sequencer is", org)
	}
	return who, nil
}

// SignRecovery adds this organisation's signature to a recovery, once it has compared
// it with what this node knows. From then on the node does not cosign until it starts
// again: it says that others are to.
func (n *Node) SignRecovery(_ context.Context, file []byte) ([]byte, error) {
	f, err := recovery.Parse(file)
	if err != nil {
		return nil, err
	}
	_, final, err := f.Check(n.genesis.Genesis)
	if err != nil {
		return nil, err
	}
	if known := n.final.Newest().Size; known > final.Size {
		return nil, spec.Errorf(spec.CodeRecovery, "this node knows a final log of %d leaves, the recovery would take it back to %d: draft one here", known, final.Size)
	}
	if n.store.Size() >= final.Size {
		if err := n.compareRecovery(f, final); err != nil {
			return nil, err
		}
	}
	for _, s := range f.Body.Seats {
		if _, err := n.memberOf(s.Org); err != nil {
			return nil, err
		}
	}
	key, err := n.signer.inForce(n.store)
	if err != nil {
		return nil, err
	}
	if err := signRecovery(n.cfg.Dir, n.id, n.genesis.Genesis, f, key); err != nil {
		return nil, err
	}
	if n.cosigner != nil {
		n.cosigner.Refuse(spec.Errorf(spec.CodeRecovery, "this organisation signed a recovery from size %d", final.Size))
	}
	return f.Marshal()
}

// compareRecovery holds a recovery against this node's own log.
func (n *Node) compareRecovery(f *recovery.File, final *tlog.Signed) error {
	root, err := tlog.Root(n.store, final.Size)
	if err != nil {
		return err
	}
	if root != final.Root {
		return spec.Errorf(spec.CodeForked, "this node's log of %d leaves is another than that which the recovery goes on from", final.Size)
	}
	epoch, err := n.epochAt(final.Size)
	if err == nil && f.Body.Epoch != epoch+1 {
		err = spec.Errorf(spec.CodeRecovery, "the recovery begins epoch %d, the next one is %d", f.Body.Epoch, epoch+1)
	}
	return err
}

// SignRecoveryFiles adds the signature of the organisation in dir, whose node does not
// run: one that lost its machine, and has its keys. It compares the recovery with the
// genesis document and with what was final here, where that is still there.
func SignRecoveryFiles(dir string, file []byte) ([]byte, error) {
	id, err := identity.Load(dir)
	if err != nil {
		return nil, err
	}
	g, err := identity.LoadGenesis(dir)
	if err != nil {
		return nil, err
	}
	f, err := recovery.Parse(file)
	if err != nil {
		return nil, err
	}
	chain, final, err := f.Check(g.Genesis)
	if err != nil {
		return nil, err
	}
	known, err := knownFinal(dir, chain)
	if err != nil {
		return nil, err
	}
	if known > final.Size {
		return nil, spec.Errorf(spec.CodeRecovery, "this node knows a final log of %d leaves, the recovery would take it back to %d: draft one from there", known, final.Size)
	}
	if err := signRecovery(dir, id, g.Genesis, f, id.Op); err != nil {
		return nil, err
	}
	return f.Marshal()
}

func signRecovery(dir string, id *identity.Identity, g *spec.Genesis, f *recovery.File, key ed25519.PrivateKey) error {
	if id.Organisation.Role != spec.RoleMember {
		return spec.Errorf(spec.CodeRole, "only members decide on a recovery")
	}
	if err := maySit(dir, id, &f.Body); err != nil {
		return err
	}
	return f.Sign(g.Origin(), id.Organisation.ID, key)
}

// maySit reports whether this node could cosign in the seat that a recovery gives it,
// if it does: with a key that it holds, and that cosigned nothing beyond.
func maySit(dir string, id *identity.Identity, r *spec.Recover) error {
	const help = ": make another with tocsin keys new --use cosign, and have the recovery drafted with it"
	for _, s := range r.Seats {
		if s.Org != id.Organisation.ID {
			continue
		}
		if !slices.Contains(id.Public(spec.UseCosign), s.Key) {
			return spec.Errorf(spec.CodeRecovery, "the recovery names a cosign key for %s that this node does not hold%s", s.Org, help)
		}
		store, err := cosign.OpenStore(cosign.StorePath(dir, s.Key), s.Key, false)
		if err != nil {
			return fmt.Errorf("the cosign key that the recovery names for %s%s: %w", s.Org, help, err)
		}
		mark := store.Mark()
		if err := store.Close(); err != nil {
			return err
		}
		if mark.Size > r.Size || mark.Size == r.Size && mark.Root != r.Root {
			return spec.Errorf(spec.CodeForked, "this node cosigned size %d with the key that the recovery names for it, and must cosign nothing that goes on from size %d%s", mark.Size, r.Size, help)
		}
	}
	return nil
}

// recoveryProof is how the panel of a number took over by a recovery that was applied
// here, or nil.
func (n *Node) recoveryProof(number uint64) (*tlog.Recovery, error) {
	b, err := os.ReadFile(proofPath(n.cfg.Dir, number))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	r := new(tlog.Recovery)
	if err == nil {
		err = spec.Decode(b, r)
	}
	return r, err
}

// anew reports whether raft begins behind the database, since a recovery was applied.
func (n *Node) anew() bool { return exists(filepath.Join(n.cfg.Dir, anewFile)) }

// learnEra finds which log of raft this node takes part in: each recovery begins one,
// so that a sequencer that was left behind reaches nobody in it.
func (n *Node) learnEra() error {
	p, number, err := lastRecovery(n.store)
	if err != nil || p == nil {
		return err
	}
	root, err := tlog.Root(n.store, p.Size)
	if err == nil {
		n.era = fmt.Sprintf("%d-%x", number, root[:8])
	} else if n.sequencer {
		return err
	}
	return nil
}

func (n *Node) raftProtocol() string { return raftnet.ProtocolOf(n.era) }
