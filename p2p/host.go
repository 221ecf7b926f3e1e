// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multiaddr"

	"github.com/tocsin-db/tocsin/spec"
)

// A Host is one node's place in the network. All its methods may be called
// from any goroutine. It does nothing by itself: no discovery, no relay, no
// probing, no addresses learnt from peers.
type Host struct {
	h      host.Host
	id     PeerID
	dir    Directory
	gate   *gate
	book   *book
	logger *slog.Logger

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	inbound inbound
	keeper  keeper
	done    sync.WaitGroup
}

// NewHost starts listening (when cfg.Listen names addresses) and serves no
// protocol yet. Errors carry BAD_CONFIG when the configuration is at fault.
func NewHost(cfg Config) (*Host, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	g := newGate(&cfg)
	opts, err := cfg.options(g)
	if err != nil {
		return nil, err
	}
	lh, err := libp2p.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("starting the libp2p host: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &Host{
		h: lh, id: idOf(lh.ID()), dir: cfg.Directory, gate: g, book: lh.Peerstore().(*book),
		logger: cfg.Logger, ctx: ctx, cancel: cancel,
	}
	g.setCounter(func() int { return len(lh.Network().Conns()) })
	h.keeper.host = h
	lh.Network().Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { g.dismiss(c) },
		DisconnectedF: func(_ network.Network, c network.Conn) { h.keeper.wake(c.RemotePeer()) },
	})
	return h, nil
}

// Close ends every stream and connection and waits for their handlers.
func (h *Host) Close() error {
	h.cancel()
	h.keeper.set(nil)
	h.inbound.close()
	err := h.h.Close()
	h.done.Wait()
	return err
}

// ID is the host's own peer id.
func (h *Host) ID() PeerID { return h.id }

// Addrs lists the multiaddrs that the host listens on, without its peer id.
func (h *Host) Addrs() []string {
	addrs, err := h.h.Network().InterfaceListenAddresses()
	if err != nil {
		addrs = h.h.Network().ListenAddresses()
	}
	out := make([]string, 0, len(addrs))
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return out
}

// AddPeer makes addrs (multiaddrs, DNS names allowed) the addresses at which id
// is dialled, in place of those known before.
func (h *Host) AddPeer(id PeerID, addrs []string) error {
	p, err := id.decode()
	if err != nil {
		return err
	}
	parsed := make([]multiaddr.Multiaddr, 0, len(addrs))
	for _, a := range addrs {
		m, err := parseAddr(p, a)
		if err != nil {
			return err
		}
		parsed = append(parsed, m)
	}
	h.book.replace(p, parsed)
	h.clearBackoff(p)
	h.keeper.wake(p)
	return nil
}

// SplitAddr reads a multiaddr that ends with /p2p/ and the id of the peer there.
func SplitAddr(s string) (id PeerID, addr string, err error) {
	m, err := multiaddr.NewMultiaddr(s)
	if err != nil {
		return "", "", spec.Errorf(spec.CodeMalformed, "%q is not a multiaddr", s)
	}
	transport, p := peer.SplitAddr(m)
	if transport == nil || p == "" {
		return "", "", spec.Errorf(spec.CodeMalformed, "%q does not end with /p2p/ and the id of a peer", s)
	}
	return idOf(p), transport.String(), nil
}

// parseAddr accepts an address with or without its /p2p/ part, which must then
// name p.
func parseAddr(p peer.ID, s string) (multiaddr.Multiaddr, error) {
	m, err := multiaddr.NewMultiaddr(s)
	if err != nil {
		return nil, spec.Errorf(spec.CodeMalformed, "%q is not a multiaddr", s)
	}
	transport, named := peer.SplitAddr(m)
	if transport == nil || (named != "" && named != p) {
		return nil, spec.Errorf(spec.CodeMalformed, "%q is not an address of peer %s", s, p)
	}
	return transport, nil
}

// Connected reports whether a connection to id is open.
func (h *Host) Connected(id PeerID) bool {
	p, err := id.decode()
	return err == nil && h.connected(p)
}

func (h *Host) connected(p peer.ID) bool {
	return h.h.Network().Connectedness(p) == network.Connected
}

// Peers lists who is connected now, in no order.
func (h *Host) Peers() []PeerID {
	peers := h.h.Network().Peers()
	out := make([]PeerID, 0, len(peers))
	for _, p := range peers {
		out = append(out, idOf(p))
	}
	return out
}

// Denied is how many streams were refused, since the start, for the role of who
// opened them.
func (h *Host) Denied() uint64 { return h.inbound.denied.Load() }

// Recheck asks the Directory again about every open connection and inbound
// stream and closes what it no longer allows. The node calls it after each
// change of who is enrolled or of a role.
func (h *Host) Recheck() {
	for _, c := range h.h.Network().Conns() {
		if !h.gate.enrolled(c.RemotePeer()) {
			h.logger.Info("connection closed: peer is no longer enrolled", "peer", c.RemotePeer().String())
			_ = c.Close()
		}
	}
	h.inbound.recheck(h.dir)
}

// clearBackoff lets the next dial start at once: the library would make it wait
// up to five minutes after failures, while a consortium waits for its member.
func (h *Host) clearBackoff(p peer.ID) {
	if s, ok := h.h.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(p)
	}
}
