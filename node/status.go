// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"runtime/debug"
	"strings"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// Members implements api.Backend.
func (n *Node) Members(context.Context) ([]api.Member, error) {
	leader := n.leader()
	var out []api.Member
	var bad error
	err := n.store.Records(spec.OrgPrefix, func(_, value []byte) bool {
		var r spec.OrgRecord
		if bad = spec.Decode(value, &r); bad != nil {
			return false
		}
		o := r.Organisation
		peer, _ := n.directory.peer(o.ID)
		self := o.ID == n.id.Organisation.ID
		out = append(out, api.Member{
			ID: o.ID, Name: o.Name, Role: o.Role, Tier: r.Tier, Jurisdiction: o.Jurisdiction, Since: r.Since,
			Self: self, Leader: o.ID == leader, Connected: !self && n.host.Connected(peer),
		})
		return true
	})
	return out, firstOf(err, bad)
}

// leader returns the id of the leading organisation, or "".
func (n *Node) leader() string {
	if n.consensus == nil {
		return ""
	}
	id, ok := n.consensus.Leader()
	if !ok {
		return ""
	}
	o, _ := n.directory.organisation(p2p.PeerID(id))
	return o.ID
}

// Status implements api.Backend.
func (n *Node) Status(context.Context) (api.Status, error) {
	head := n.store.Head()
	s := api.Status{
		Version: Version(), Origin: n.genesis.Genesis.Origin(), Organisation: n.id.Organisation.ID, Role: n.id.Organisation.Role, Tier: n.tier(),
		Leader: n.leader(), Entries: head.Entries, Signals: head.Live, Peers: len(n.host.Peers()), Freshness: n.freshness(),
	}
	if err := n.store.Damage(); err != nil {
		s.Damage = err.Error()
	}
	if _, err := n.mayAnswer(); err != nil {
		s.NotAnswering = err.Error()
	}
	if n.cosigner != nil {
		s.NotCosigning = n.coverage().Reason
		if err := n.cosigner.Refused(); err != nil {
			s.NotCosigning = err.Error()
		}
	}
	if err := n.notWitness.Load(); err != nil {
		s.NotCosigning = (*err).Error()
	}
	s.Cosigners, s.Witnesses = n.cosignedBy()
	s.Sync, s.Serving = n.syncStatus(), n.serves()
	s.Consortia, _ = n.Consortia(context.Background())
	if n.consensus != nil {
		s.Raft = strings.ToLower(n.consensus.Status().State)
	}
	var clock spec.Clock
	if err := readRecord(n.store, spec.ClockKey, &clock); err != nil {
		return s, err
	}
	s.Epoch, s.LogTime = clock.Epoch, logTime(clock.TimeMS)
	err := n.store.Records(spec.DuePrefix, func(_, _ []byte) bool {
		s.OpenCases++
		return true
	})
	if err != nil || head.Size == 0 {
		return s, err
	}
	last, err := n.store.Leaves(head.Size-1, 1)
	if err != nil || len(last) == 0 {
		return s, err
	}
	leaf, err := spec.ParseLeaf(last[0])
	if err == nil && leaf.StateRoot != nil {
		s.Size, s.LiveRoot, s.RulesRoot = head.Size, leaf.StateRoot.LiveRoot, leaf.StateRoot.RulesRoot
	}
	return s, err
}

// Version is the module's version as it was built.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "devel"
	}
	return strings.Trim(info.Main.Version, "()")
}

var _ api.Backend = (*Node)(nil)

// LogSize is the number of leaves in this node's log.
func (n *Node) LogSize() uint64 { return n.store.Size() }

// LogFirst is the size from which on this node holds the log: 0 unless it began with
// a snapshot.
func (n *Node) LogFirst() uint64 { return n.store.First() }

// LogRoot is the RFC 6962 root over this node's log.
func (n *Node) LogRoot() spec.Hash { return n.store.Head().Root }

// Peer is this node's id on the network.
func (n *Node) Peer() p2p.PeerID { return n.host.ID() }

// BulkRate is how many bytes a second this node sends to all that are far behind.
func (n *Node) BulkRate() int64 { return n.serves().BulkRate }

// Term is the current term of consensus, 0 on a node that follows.
func (n *Node) Term() uint64 {
	if n.consensus == nil {
		return 0
	}
	return n.consensus.Status().Term
}

// Leading reports whether this node leads consensus.
func (n *Node) Leading() bool { return n.consensus != nil && n.consensus.IsLeader() }
