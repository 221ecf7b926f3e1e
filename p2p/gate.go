// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"log/slog"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// A gate admits connections by proved peer id, in both directions, as soon as
// the handshake has shown it. Some room is kept for the peers that the node
// wants to stay connected to, so that readers cannot crowd out members.
type gate struct {
	dir    Directory
	logger *slog.Logger
	room   int // connections that peers which are not kept may hold in all

	mu   sync.Mutex
	kept map[peer.ID]bool
	open func() int // connections now
}

// reserved is the share of connections that only kept peers may take: 1/8.
const reserved = 8

func newGate(cfg *Config) *gate {
	return &gate{
		dir:    cfg.Directory,
		logger: cfg.Logger,
		room:   cfg.MaxConns - cfg.MaxConns/reserved,
		open:   func() int { return 0 },
	}
}

// enrolled says whether a peer has a part in the consortium.
func (g *gate) enrolled(p peer.ID) bool {
	role, ok := g.dir.Role(idOf(p))
	return ok && role != RoleFormer
}

// admits says whether a peer may be connected. One that was enrolled may come to be told
// that it is no more; it is not dialled.
func (g *gate) admits(dir network.Direction, p peer.ID) bool {
	return g.enrolled(p) || dir == network.DirInbound && g.former(p)
}

func (g *gate) former(p peer.ID) bool {
	role, _ := g.dir.Role(idOf(p))
	return role == RoleFormer
}

// farewell is for how long a peer that was enrolled stays connected: enough to open a
// stream, and to hear that it is refused.
const farewell = 2 * time.Second

// dismiss ends the connection of a peer that was enrolled, in time.
func (g *gate) dismiss(c network.Conn) {
	if g.former(c.RemotePeer()) {
		time.AfterFunc(farewell, func() { _ = c.Close() })
	}
}

func (g *gate) hasRoom(p peer.ID) bool {
	g.mu.Lock()
	kept, open := g.kept[p], g.open
	g.mu.Unlock()
	return kept || open() < g.room
}

func (g *gate) keep(ids map[peer.ID]bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kept = ids
}

func (g *gate) setCounter(open func() int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = open
}

// InterceptPeerDial allows dialling enrolled peers only.
func (g *gate) InterceptPeerDial(p peer.ID) bool { return g.enrolled(p) }

// InterceptAddrDial allows all: the book holds configured addresses only.
func (g *gate) InterceptAddrDial(peer.ID, multiaddr.Multiaddr) bool { return true }

// InterceptAccept allows all: there is no peer id yet, limits.go bounds the cost.
func (g *gate) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured decides, once the peer has proved its id.
func (g *gate) InterceptSecured(dir network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	if !g.admits(dir, p) {
		g.logger.Info("connection refused: peer is not enrolled", "peer", p.String(), "direction", dir.String())
		return false
	}
	if dir == network.DirInbound && !g.hasRoom(p) {
		g.logger.Warn("connection refused: no room left", "peer", p.String())
		return false
	}
	return true
}

// InterceptUpgraded asks again: the peer may have been expelled meanwhile.
func (g *gate) InterceptUpgraded(c network.Conn) (bool, control.DisconnectReason) {
	return g.admits(c.Stat().Direction, c.RemotePeer()), 0
}
