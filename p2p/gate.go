// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"log/slog"
	"sync"

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

func (g *gate) enrolled(p peer.ID) bool {
	_, ok := g.dir.Role(idOf(p))
	return ok
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
	if !g.enrolled(p) {
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
	return g.enrolled(c.RemotePeer()), 0
}
