// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"

	"github.com/tocsin-db/tocsin/spec"
)

// Defaults of a Config.
const (
	DefaultMaxConns = 2048    // connections at once
	DefaultMemory   = 1 << 30 // bytes
)

// Config is what a Host needs.
type Config struct {
	Key       ed25519.PrivateKey // transport key; see PrivateKey
	Listen    []string           // multiaddrs, TCP and QUIC; empty: outbound connections only
	Directory Directory          // who may connect
	Logger    *slog.Logger       // nil: slog.Default()
	MaxConns  int                // connections at once; 0: DefaultMaxConns
	Memory    int64              // bytes of windows and buffers of all connections; 0: DefaultMemory

	// Limits bound what one protocol may take, so that none can take what another
	// needs. One that is not named has DefaultLimit.
	Limits map[string]Limit
}

func (c *Config) check() error {
	if len(c.Key) != ed25519.PrivateKeySize {
		return spec.Errorf(spec.CodeConfig, "the transport key is not an Ed25519 private key")
	}
	if c.Directory == nil {
		return spec.Errorf(spec.CodeConfig, "a host needs a directory of enrolled peers")
	}
	for _, a := range c.Listen {
		if _, err := multiaddr.NewMultiaddr(a); err != nil {
			return spec.Errorf(spec.CodeConfig, "%q is not a multiaddr", a)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.MaxConns <= 0 {
		c.MaxConns = DefaultMaxConns
	}
	if c.Memory <= 0 {
		c.Memory = DefaultMemory
	}
	return nil
}

// options names every part of the host, so that no default of the library
// listens, discovers, relays, probes or announces on our behalf.
func (c *Config) options(g *gate) ([]libp2p.Option, error) {
	key, err := crypto.UnmarshalEd25519PrivateKey(c.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the transport key: %w", err)
	}
	limits, err := newLimits(c)
	if err != nil {
		return nil, fmt.Errorf("making resource limits: %w", err)
	}
	book, err := newBook()
	if err != nil {
		return nil, fmt.Errorf("making the address book: %w", err)
	}
	return []libp2p.Option{
		libp2p.Identity(key),
		listenOption(c.Listen),
		libp2p.Transport(quic.NewTransport),
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()), // a port that is taken is an error, never shared
		libp2p.Security(libp2ptls.ID, libp2ptls.New),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.Peerstore(book),
		libp2p.ResourceManager(limits),
		libp2p.ConnectionManager(connmgr.NullConnMgr{}), // the gate refuses; nothing is trimmed
		libp2p.ConnectionGater(g),
		libp2p.DisableRelay(),
		libp2p.DisableIdentifyAddressDiscovery(),
		reachability(c.Listen), // stated, so that AutoNAT does not probe
		libp2p.Ping(false),
		libp2p.DisableMetrics(),
		libp2p.AddrsFactory(func([]multiaddr.Multiaddr) []multiaddr.Multiaddr { return nil }),
		libp2p.ProtocolVersion("tocsin/1"),
		libp2p.UserAgent("tocsin"),
	}, nil
}

func listenOption(addrs []string) libp2p.Option {
	if len(addrs) == 0 {
		return libp2p.NoListenAddrs
	}
	return libp2p.ListenAddrStrings(addrs...)
}

func reachability(listen []string) libp2p.Option {
	if len(listen) == 0 {
		return libp2p.ForceReachabilityPrivate()
	}
	return libp2p.ForceReachabilityPublic()
}
