// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/record"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/multiformats/go-multiaddr"
)

// A book holds only addresses that the node itself gave (they are permanent).
// What peers claim about themselves in the identify exchange is dropped: an
// enrolled peer must not be able to point our dialler at somebody's network.
type book struct {
	peerstore.Peerstore
	peerstore.CertifiedAddrBook
}

func newBook() (*book, error) {
	ps, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, err
	}
	return &book{Peerstore: ps, CertifiedAddrBook: ps}, nil
}

func (b *book) AddAddr(p peer.ID, a multiaddr.Multiaddr, ttl time.Duration) {
	b.AddAddrs(p, []multiaddr.Multiaddr{a}, ttl)
}

func (b *book) AddAddrs(p peer.ID, addrs []multiaddr.Multiaddr, ttl time.Duration) {
	if ttl == peerstore.PermanentAddrTTL {
		b.Peerstore.AddAddrs(p, addrs, ttl)
	}
}

func (b *book) SetAddr(p peer.ID, a multiaddr.Multiaddr, ttl time.Duration) {
	b.SetAddrs(p, []multiaddr.Multiaddr{a}, ttl)
}

func (b *book) SetAddrs(p peer.ID, addrs []multiaddr.Multiaddr, ttl time.Duration) {
	if ttl == peerstore.PermanentAddrTTL {
		b.Peerstore.SetAddrs(p, addrs, ttl)
	}
}

// UpdateAddrs changes lifetimes of learnt addresses, of which there are none.
func (b *book) UpdateAddrs(peer.ID, time.Duration, time.Duration) {}

// ConsumePeerRecord drops signed address records too.
func (b *book) ConsumePeerRecord(*record.Envelope, time.Duration) (bool, error) { return false, nil }

// replace makes addrs all that is known of p.
func (b *book) replace(p peer.ID, addrs []multiaddr.Multiaddr) {
	b.ClearAddrs(p)
	b.Peerstore.AddAddrs(p, addrs, peerstore.PermanentAddrTTL)
}
