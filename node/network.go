// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tocsin-db/tocsin/consensus"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/p2p/raftnet"
	"github.com/tocsin-db/tocsin/spec"
)

func (n *Node) openHost(context.Context) (err error) {
	if err := n.learnEra(); err != nil {
		return err
	}
	n.host, err = p2p.NewHost(p2p.Config{
		Key: n.id.Libp2p, Listen: n.cfg.Listen, Directory: n.directory, Logger: n.log,
		MaxConns: n.cfg.Connections, Memory: n.cfg.Memory, Limits: n.limits(),
	})
	if err != nil {
		return err
	}
	n.onStop(func(context.Context) error { return n.host.Close() })
	n.onStop(n.tasks.stop)
	if err := n.pinUpstreams(); err != nil {
		return err
	}
	n.forwards.call = func(ctx context.Context, to p2p.PeerID, req []byte) ([]byte, error) {
		return n.host.Call(ctx, to, protocolSubmit, req, maxAnswer)
	}
	return n.connect()
}

// connect makes every member's addresses known, and on a member keeps a connection
// to each. A node that follows connects to its upstreams, and to a member when it
// submits.
func (n *Node) connect() error {
	if err := n.keepConnected(); err != nil {
		return err
	}
	n.lookAtPart()
	return nil
}

// meet follows a change of the enrolled organisations.
func (n *Node) meet() {
	if err := n.keepConnected(); err != nil {
		n.log.Warn("connecting to members", "error", err)
	}
	if r := n.following.Load(); r != nil {
		n.tellWhomToFollow(r)
	}
}

func (n *Node) keepConnected() error {
	var keep []p2p.PeerID
	for _, id := range n.directory.members() {
		if id == n.host.ID() {
			continue
		}
		if addrs := n.whereIs(id); len(addrs) > 0 {
			if err := n.host.AddPeer(id, addrs); err != nil {
				return err
			}
		}
		if n.sequencer {
			keep = append(keep, id)
		}
	}
	return n.host.Keep(keep)
}

// whereIs lists the addresses of an organisation's node: those of the settings and
// of the founding document first.
func (n *Node) whereIs(id p2p.PeerID) []string {
	org, _ := n.directory.organisation(id)
	return slices.Concat(n.cfg.Peers[org.ID], n.genesis.Addresses[org.ID], n.known.of(org.ID))
}

func (n *Node) openConsensus(context.Context) error {
	if !n.sequencer {
		return nil
	}
	seeded := n.seeded() || n.anew()
	if _, err := os.Stat(filepath.Join(n.cfg.Dir, "raft", "raft.db")); errors.Is(err, fs.ErrNotExist) && n.final.Newest().Size > 0 && !seeded {
		// Starting empty, it could help to elect a leader that lacks what this member
		// once acknowledged.
		return spec.Errorf(spec.CodeCorrupt, "the raft log in this data directory is gone, although the node took part before: it must not vote again under the same keys")
	}
	var voters []string
	for _, s := range n.genesis.Genesis.FoundingPanel().Seats {
		o, _ := n.genesis.Genesis.Member(s.Org)
		id, err := p2p.IDFromPublicKey(ed25519.PublicKey(o.Libp2pKey[:]))
		if err != nil {
			return err
		}
		voters = append(voters, string(id))
	}
	var started atomic.Pointer[consensus.Node] // raft asks before Start returns
	transport := raftnet.New(raftnet.Config{
		Host:   n.host,
		Era:    n.era,
		Logger: n.log,
		Allow:  n.maySequence,
		Stuck: func() time.Duration {
			if node := started.Load(); node != nil {
				return node.StuckFor()
			}
			return 0
		},
	})
	node, err := consensus.Start(consensus.Config{
		ID: string(n.host.ID()), Dir: filepath.Join(n.cfg.Dir, "raft"), Voters: voters,
		Profile: consensus.Profile(n.cfg.Profile), Peers: filepath.Join(n.cfg.Dir, "peers.json"),
		Logger: n.log, Tick: n.tick, Seeded: seeded, Fatal: n.fail,
	}, n.replica, transport)
	if err != nil {
		return errors.Join(err, transport.Close())
	}
	started.Store(node)
	n.consensus = node
	n.onStop(func(ctx context.Context) error { return errors.Join(node.Stop(ctx), transport.Close()) })
	if err := n.planted(); err != nil {
		return err
	}
	n.recall(n.final.Newest().Size)
	n.background(n.catchUp)
	n.background(n.watchTime)
	n.background(n.steer)
	n.background(n.keepHandOffs)
	return nil
}

// servePeers opens the protocols that this node answers. Each says who may call.
func (n *Node) servePeers(context.Context) error {
	enrolled := []string{spec.RoleMember, spec.RoleReader, spec.RoleReferrer, spec.RoleAuditor, roleDigest}
	n.bulk = newBulk(n.cfg.BulkRate, &n.commits)
	n.followers = federation.Serve(n.host, &finalSource{replica: n.replica, final: n.final}, federation.ServeOptions{
		Roles: enrolled, Pushed: n.cfg.Followers, Subscribers: n.cfg.Subscribers, Bulk: n.bulk, Now: n.cfg.Now, Logger: n.log,
	})
	n.serveState()
	n.host.Handle(cosign.LogProtocol, p2p.Policy{Roles: enrolled, MaxRequest: 64}, n.serveLog)
	n.host.Handle(cosign.AlarmProtocol, p2p.Policy{Roles: enrolled, MaxRequest: cosign.MaxProof}, n.serveAlarm)
	n.host.Handle(cosign.RecallProtocol, p2p.Policy{Roles: []string{spec.RoleMember}, MaxRequest: 16}, n.serveRecall)
	n.host.Handle(protocolWitness, p2p.Policy{Roles: []string{spec.RoleMember}, MaxRequest: 256}, n.serveWitness)
	n.host.Handle(protocolAddresses, p2p.Policy{Roles: enrolled, MaxRequest: 2 << 10}, n.serveAddresses)
	if n.consensus == nil {
		return nil
	}
	n.host.Handle(cosign.Protocol, p2p.Policy{Roles: []string{spec.RoleMember}, MaxRequest: cosign.MaxRequest}, n.serveCosign)
	n.host.HandleStream(protocolSeed, p2p.Policy{Roles: []string{spec.RoleMember}, MaxStreams: 1}, n.serveSeed)
	n.host.Handle(protocolPosition, p2p.Policy{Roles: []string{spec.RoleMember}}, n.servePosition)
	n.host.Handle(protocolSubmit, p2p.Policy{Roles: enrolled, MaxRequest: maxForward, MaxStreams: maxSubmits}, n.serveSubmit)
	n.host.Handle(protocolJoin, p2p.Policy{Roles: []string{roleInvitee}, MaxRequest: 4 << 10}, n.serveJoin)
	return nil
}
