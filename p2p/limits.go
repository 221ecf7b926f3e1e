// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"net/netip"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
)

// Bounds that hold below the Policies: a Policy answers BUSY, these cut off.
const (
	defaultPeerStreams = 64        // per protocol, peer and direction
	peerConns          = 8         // per peer: QUIC and TCP dialled from both sides at once
	peerStreams        = 512       // per peer, over all protocols
	systemMemory       = 1 << 30   // stream windows and buffers of the whole host
	peerMemory         = 128 << 20 // of one peer; one yamux or QUIC window is at most 16 MiB
	subnetConns        = 512       // per IPv4 address, IPv6 /56
)

// newLimits makes fixed limits, the same on every machine. The library's own
// (8 connections and one new one in 5 s per IPv4 address or IPv6 /56) would
// shut out all but a few nodes behind one company's NAT or in one cluster. Who
// may connect is decided by peer id in the gate, so these need only bound what
// strangers' handshakes cost.
func newLimits(conns int, streams map[string]int) (network.ResourceManager, error) {
	return rcmgr.NewResourceManager(
		rcmgr.NewFixedLimiter(limitConfig(conns, streams)),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: subnetConns}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: subnetConns}, {PrefixLength: 48, ConnCount: 2 * subnetConns}},
		),
		rcmgr.WithConnRateLimiters(connRate()),
	)
}

func connRate() *rate.Limiter {
	perSubnet := rate.Limit{RPS: 10, Burst: subnetConns}
	return &rate.Limiter{
		GlobalLimit: rate.Limit{RPS: 200, Burst: 2 * DefaultMaxConns},
		NetworkPrefixLimits: []rate.PrefixLimit{ // no limit on one's own machine
			{Prefix: netip.MustParsePrefix("127.0.0.0/8")},
			{Prefix: netip.MustParsePrefix("::1/128")},
		},
		SubnetRateLimiter: rate.SubnetLimiter{
			IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: perSubnet}},
			IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: perSubnet}},
		},
	}
}

func limitConfig(conns int, streams map[string]int) rcmgr.ConcreteLimitConfig {
	perProtocol := streamLimits(defaultPeerStreams, peerMemory)
	partial := rcmgr.PartialLimitConfig{
		System:              total(conns, 64*conns, systemMemory),
		Transient:           total(max(64, conns/4), max(256, conns), systemMemory/8),
		ServiceDefault:      streamLimits(64*conns, systemMemory/2),
		ServicePeerDefault:  streamLimits(peerStreams, peerMemory),
		ProtocolDefault:     streamLimits(64*conns, systemMemory/2),
		ProtocolPeerDefault: perProtocol,
		PeerDefault:         total(peerConns, peerStreams, peerMemory),
		Conn:                rcmgr.ResourceLimits{Conns: 1, ConnsInbound: 1, ConnsOutbound: 1, FD: 1, Memory: peerMemory},
		Stream:              streamLimits(1, peerMemory),
		ProtocolPeer:        map[protocol.ID]rcmgr.ResourceLimits{},
	}
	for proto, n := range streams {
		partial.ProtocolPeer[protocol.ID(proto)] = streamLimits(n, peerMemory)
	}
	return partial.Build(rcmgr.DefaultLimits.Scale(systemMemory, 4*conns))
}

func total(conns, streams int, memory int64) rcmgr.ResourceLimits {
	l := streamLimits(streams, memory)
	n := rcmgr.LimitVal(conns)
	l.Conns, l.ConnsInbound, l.ConnsOutbound, l.FD = n, n, n, n
	return l
}

func streamLimits(n int, memory int64) rcmgr.ResourceLimits {
	v := rcmgr.LimitVal(n)
	return rcmgr.ResourceLimits{Streams: 2 * v, StreamsInbound: v, StreamsOutbound: v, Memory: rcmgr.LimitVal64(memory)}
}
