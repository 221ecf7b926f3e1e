// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"slices"
	"time"

	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// rekeyAfter is how long no member may be connected before this node asks whether
// they know it by another transport key.
const rekeyAfter = 3 * time.Second

// openRekey looks after a further transport key. Members cut an old one off in the
// moment in which they apply the decision, perhaps before this node hears of it.
func (n *Node) openRekey(context.Context) error {
	if len(n.id.Held(spec.UseLibp2p)) > 1 {
		n.background(n.rekey)
	}
	return nil
}

// rekey takes a further transport key once a member lets it in. Nobody does before a
// case put it in force.
func (n *Node) rekey(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-n.after(rekeyAfter):
		}
		if slices.ContainsFunc(n.directory.members(), n.inTouch) {
			continue
		}
		for _, key := range n.id.Held(spec.UseLibp2p)[1:] {
			if !n.letIn(ctx, key) {
				continue
			}
			public := spec.PublicKey(key.Public().(ed25519.PublicKey))
			if err := identity.Switch(n.cfg.Dir, public); err != nil {
				n.log.Error("taking another transport key", "error", err)
				return
			}
			n.log.Warn("members know this node by another transport key: it is to start again")
			n.fail(ErrPart)
			return
		}
	}
}

// inTouch reports whether a member is connected, and not only to say that it has this
// node enrolled no more.
func (n *Node) inTouch(id p2p.PeerID) bool {
	st := n.Sync()
	return n.host.Connected(id) && (st == nil || !slices.ContainsFunc(st.Refusals, func(r federation.Refusal) bool {
		return r.Peer == id && r.Code == spec.CodeDenied
	}))
}

// letIn reports whether a member answers whoever holds this transport key.
func (n *Node) letIn(ctx context.Context, key ed25519.PrivateKey) bool {
	host, err := p2p.NewHost(p2p.Config{Key: key, Directory: n.directory, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return false
	}
	defer host.Close()
	for _, id := range n.directory.members() {
		addrs := n.whereIs(id)
		if id == n.host.ID() || len(addrs) == 0 || host.AddPeer(id, addrs) != nil {
			continue
		}
		turn, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err := host.Call(turn, id, cosign.LogProtocol, []byte("checkpoint"), tlog.MaxNote)
		cancel()
		if err == nil {
			return true
		}
	}
	return false
}
