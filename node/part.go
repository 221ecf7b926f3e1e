// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tocsin-db/tocsin/consensus"
	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage"
)

// ErrPart is what a node fails with when a decided case gave it another part, that
// of a sequencer or that of a follower, another tier or another transport key: it is to be
// stopped and started again.
var ErrPart = errors.New("the node takes another part from here on: start it again")

// sequencers lists the organisations that take part in consensus: those that the
// policy names, and whoever is needed until the next panel took over.
func (n *Node) sequencers() ([]string, error) {
	ids, err := governance.Sequencers(n.store)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(ids, n.chain.From(n.final.Newest().Size))
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(all, func(org string) bool {
		_, enrolled := n.directory.peer(org)
		return !enrolled
	}), nil
}

// choosePart decides whether this node starts as a sequencer or as a follower.
func (n *Node) choosePart(context.Context) error {
	if err := n.takeKeys(); err != nil {
		return err
	}
	ids, err := n.sequencers()
	if err != nil {
		return err
	}
	named, at := slices.Contains(ids, n.id.Organisation.ID), n.store.Head().Applied
	_, founder := n.genesis.Genesis.FoundingPanel().Seat(n.id.Organisation.ID)
	switch {
	case !named:
		return n.retire(at)
	case at.Index > 0 || founder && n.store.Size() == 0:
		n.sequencer = true
	case n.seeded():
		n.sequencer = true
		return n.plant()
	}
	return nil // named, and about to fetch what sequencers hold
}

// takeKeys puts the keys on this node's card that the state says are in force.
func (n *Node) takeKeys() error {
	var who spec.OrgRecord
	if err := readRecord(n.store, spec.OrgKey(n.id.Organisation.ID), &who); err != nil || who.Organisation.ID == "" {
		return err
	}
	if err := n.id.Follow(n.cfg.Dir, &who.Organisation); err != nil {
		return err
	}
	if key := who.Organisation.Libp2pKey; key != n.id.Organisation.Libp2pKey {
		n.leftKey.Store(&key)
	}
	return nil
}

// newAddress reports whether a case gave this node another transport key that it
// holds. The one that it left for another, ahead of what it had applied, is none: it
// stands in the state until the node has caught up, which it must be let do.
func (n *Node) newAddress() bool {
	var who spec.OrgRecord
	if err := readRecord(n.store, spec.OrgKey(n.id.Organisation.ID), &who); err != nil {
		return false
	}
	next := who.Organisation.Libp2pKey
	if next == n.id.Organisation.Libp2pKey {
		n.leftKey.Store(nil) // caught up
		return false
	}
	left := n.leftKey.Load()
	return (left == nil || next != *left) && slices.Contains(n.id.Public(spec.UseLibp2p), next)
}

// retire leaves consensus behind: its log would be of no use should the node become
// a sequencer again, which begins from what the others hold then.
func (n *Node) retire(at storage.Applied) error {
	if at.Index > 0 {
		tx, err := n.store.Begin()
		if err != nil {
			return err
		}
		defer tx.Drop()
		if err := errors.Join(tx.Commit(storage.Applied{}), n.store.Sync()); err != nil {
			return err
		}
	}
	return errors.Join(os.RemoveAll(filepath.Join(n.cfg.Dir, "raft")), os.RemoveAll(filepath.Join(n.cfg.Dir, seedFile)))
}

// lookAtPart starts what a decided case asks of this node.
func (n *Node) lookAtPart() {
	ids, err := n.sequencers()
	if err != nil {
		n.fail(err)
		return
	}
	n.part.Store(&ids)
	if n.newAddress() {
		n.log.Warn("this node has another transport key from here on: it is to start again")
		n.fail(ErrPart)
		return
	}
	if tier, err := n.decidedTier(); err != nil {
		n.fail(err)
		return
	} else if tier != "" && tier != n.tier() {
		n.log.Warn("a case changed this node's tier: it is to start again", "tier", tier)
		n.fail(ErrPart)
		return
	}
	named := slices.Contains(ids, n.id.Organisation.ID)
	switch {
	case n.sequencer && !named:
		n.log.Warn("this node is no sequencer any more: it is to start again as a follower")
		n.fail(ErrPart)
	case !n.sequencer && named && n.id.Organisation.Role == spec.RoleMember:
		select {
		case n.promoted <- struct{}{}:
		default:
		}
	}
}

// maySequence reports whether a peer takes part in consensus.
func (n *Node) maySequence(id p2p.PeerID) bool {
	o, ok := n.directory.organisation(id)
	ids := n.part.Load()
	return ok && ids != nil && slices.Contains(*ids, o.ID)
}

// sequencerPeers are the peers that take part in consensus, sorted.
func (n *Node) sequencerPeers() []p2p.PeerID {
	return slices.DeleteFunc(n.directory.members(), func(id p2p.PeerID) bool { return !n.maySequence(id) })
}

// followPart fetches what sequencers hold, on a follower that a case made one of
// them, and has the node start again.
func (n *Node) followPart(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-n.promoted:
		}
		for ctx.Err() == nil {
			err := n.fetchSeed(ctx)
			if err == nil {
				n.log.Warn("this node is a sequencer from here on: it is to start again")
				n.fail(ErrPart)
				return
			}
			n.log.Info("fetching what sequencers hold", "error", err)
			select {
			case <-ctx.Done():
			case <-n.after(time.Second):
			}
		}
	}
}

// steer brings raft's configuration in line with what cases decided, while this
// node leads.
func (n *Node) steer(ctx context.Context) {
	for ctx.Err() == nil {
		if want := n.wantedServers(); n.consensus.IsLeader() && want != nil {
			turn, cancel := context.WithTimeout(ctx, 30*time.Second)
			if err := n.consensus.Reconcile(turn, want); err != nil && ctx.Err() == nil {
				n.log.Info("changing the sequencers", "error", err)
			}
			cancel()
		}
		select {
		case <-ctx.Done():
		case <-n.after(500 * time.Millisecond):
		}
	}
}

// wantedServers are the peers that raft should have as voters, or nil when it has.
func (n *Node) wantedServers() []string {
	ids, err := n.sequencers()
	if err != nil {
		return nil
	}
	var want, have []string
	for _, org := range ids {
		peer, _ := n.directory.peer(org)
		want = append(want, string(peer))
	}
	for _, s := range n.consensus.Status().Servers {
		if !s.Voter {
			have = nil
			break
		}
		have = append(have, s.ID)
	}
	slices.Sort(want)
	slices.Sort(have)
	if slices.Equal(want, have) {
		return nil
	}
	return want
}

// declare signs that this sequencer is ready, once it votes in raft, has what the
// leader has and may cosign, but has no seat: it counts from that operation on.
func (n *Node) declare(ctx context.Context) {
	for ctx.Err() == nil {
		if n.mayDeclare() {
			if _, err := n.submit(ctx, &spec.Ready{Size: n.store.Size()}, nil); err != nil {
				n.log.Info("declaring that this sequencer is ready", "code", spec.CodeOf(err))
			}
		}
		select {
		case <-ctx.Done():
		case <-n.after(500 * time.Millisecond):
		}
	}
}

func (n *Node) mayDeclare() bool {
	self := n.id.Organisation.ID
	named, err := governance.Sequencers(n.store)
	if err != nil || !slices.Contains(named, self) || !n.complete.Load() || n.MayCosign() != nil {
		return false
	}
	if b, err := n.store.Record(spec.ReadyKey(self)); err != nil || b != nil {
		return false
	}
	return slices.Contains(n.consensus.Status().Servers, consensus.Server{ID: string(n.host.ID()), Voter: true})
}
