// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"bytes"
	"crypto/ed25519"
	"log/slog"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/multiformats/go-multiaddr"
)

type everyone struct{}

func (everyone) Role(PeerID) (string, bool) { return "member", true }

// An enrolled peer with stock software claims addresses when it connects; none
// may end up where our dialler looks.
func TestClaimedAddressesAreDropped(t *testing.T) {
	h, err := NewHost(Config{
		Key:    ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)),
		Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Directory: everyone{}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	key, _ := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32)))
	claims := func([]multiaddr.Multiaddr) []multiaddr.Multiaddr {
		return []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/192.0.2.1/tcp/22")}
	}
	stock, err := libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.AddrsFactory(claims))
	if err != nil {
		t.Fatal(err)
	}
	defer stock.Close()
	dst := peer.AddrInfo{ID: h.h.ID(), Addrs: h.h.Network().ListenAddresses()}
	if err := stock.Connect(t.Context(), dst); err != nil {
		t.Fatal(err)
	}
	tick, deadline := time.NewTicker(5*time.Millisecond), time.After(90*time.Second)
	defer tick.Stop()
	for known := 0; known == 0; { // until identify has told us about the peer
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("never identified")
		}
		protos, _ := h.h.Peerstore().GetProtocols(stock.ID())
		known = len(protos)
	}
	if got := h.book.Addrs(stock.ID()); len(got) != 0 {
		t.Fatalf("learnt %v", got)
	}
	if got := stock.Peerstore().Addrs(h.h.ID()); len(got) > len(dst.Addrs) {
		t.Fatalf("told a peer %v", got)
	}
}

func TestBookKeepsWhatTheNodeGave(t *testing.T) {
	b, err := newBook()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Peerstore.Close()
	one, two := multiaddr.StringCast("/ip4/192.0.2.1/tcp/1"), multiaddr.StringCast("/ip4/192.0.2.2/tcp/2")
	b.replace("p", []multiaddr.Multiaddr{one})
	b.AddAddr("p", two, peerstore.ConnectedAddrTTL)
	b.SetAddrs("p", []multiaddr.Multiaddr{two}, peerstore.TempAddrTTL)
	b.UpdateAddrs("p", peerstore.PermanentAddrTTL, 0)
	if got := b.Addrs("p"); len(got) != 1 || !got[0].Equal(one) {
		t.Fatalf("book holds %v", got)
	}
	b.replace("p", []multiaddr.Multiaddr{two})
	if got := b.Addrs("p"); len(got) != 1 || !got[0].Equal(two) {
		t.Fatalf("book holds %v", got)
	}
}
