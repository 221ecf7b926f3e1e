// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"errors"
	"net/netip"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// ErrNoAddress says that none of the addresses of a referral may be dialled.
var ErrNoAddress = errors.New("no address of the referral may be dialled")

// AddReferred makes addrs, which the peer from named, addresses at which id is
// dialled, unless some are known already: those that were configured win. Only IP
// addresses count, and of those that are not public only such as from itself is
// connected at: nobody may point our dialler into a network.
func (h *Host) AddReferred(from, id PeerID, addrs []string) error {
	p, err := id.decode()
	if err != nil {
		return err
	}
	if len(h.book.Addrs(p)) > 0 {
		return nil
	}
	usable := h.usable(from, p, addrs)
	if len(usable) == 0 {
		return ErrNoAddress
	}
	h.book.replace(p, usable)
	h.clearBackoff(p)
	return nil
}

// Usable returns those of addrs, which the peer from named for id, that AddReferred
// would dial.
func (h *Host) Usable(from, id PeerID, addrs []string) (out []string) {
	p, err := id.decode()
	if err != nil {
		return nil
	}
	for _, m := range h.usable(from, p, addrs) {
		out = append(out, m.String())
	}
	return out
}

func (h *Host) usable(from PeerID, p peer.ID, addrs []string) (out []multiaddr.Multiaddr) {
	kinds := h.kinds(from)
	for _, a := range addrs {
		m, err := parseAddr(p, a)
		if err != nil {
			continue
		}
		if k, ok := kindOf(m); ok && (k == public || kinds[k]) {
			out = append(out, m)
		}
	}
	return out
}

// Parseable returns those of addrs that are multiaddrs of an IP address.
func Parseable(addrs []string) (out []string) {
	for _, a := range addrs {
		m, err := multiaddr.NewMultiaddr(a)
		if err != nil {
			continue
		}
		if _, ok := kindOf(m); ok {
			out = append(out, a)
		}
	}
	return out
}

// A kind of network that an address belongs to.
type kind int

const (
	public kind = iota
	private
	loopback
)

// kindOf is false for what is no IP address, or one that nobody serves at.
func kindOf(m multiaddr.Multiaddr) (kind, bool) {
	ip, err := manet.ToIP(m)
	if err != nil {
		return 0, false
	}
	a, ok := netip.AddrFromSlice(ip)
	a = a.Unmap()
	switch {
	case !ok || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast():
		return 0, false
	case a.IsLoopback():
		return loopback, true
	case a.IsPrivate() || sharedSpace.Contains(a):
		return private, true
	}
	return public, true
}

// sharedSpace is what carriers use behind their NAT (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// kinds of the addresses at which a peer is connected.
func (h *Host) kinds(id PeerID) map[kind]bool {
	out := map[kind]bool{}
	p, err := id.decode()
	if err != nil {
		return out
	}
	for _, c := range h.h.Network().ConnsToPeer(p) {
		if k, ok := kindOf(c.RemoteMultiaddr()); ok {
			out[k] = true
		}
	}
	return out
}
