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
	peerConns   = 8         // per peer: QUIC and TCP dialled from both sides at once
	peerStreams = 512       // per peer, over all protocols
	peerMemory  = 128 << 20 // of one peer; one yamux or QUIC window is at most 16 MiB
	subnetConns = 512       // per IPv4 address, IPv6 /56
)

// A Limit bounds the open streams of one protocol, in each direction, and what they
// hold. What is above it is reset.
type Limit struct {
	Streams int   // of all peers together
	PerPeer int   // of one peer
	Memory  int64 // bytes, in buffers and in the frames that are read, of all peers together
}

// DefaultLimit is for protocols that Config.Limits does not name.
var DefaultLimit = Limit{Streams: 1024, PerPeer: 64, Memory: 256 << 20}

// streamBuffers is what a framed stream holds beside the frame that is read.
const streamBuffers = 64<<10 + firstRead

// newLimits makes fixed limits, the same on every machine. The library's own
// (8 connections and one new one in 5 s per IPv4 address or IPv6 /56) would
// shut out all but a few nodes behind one company's NAT or in one cluster. Who
// may connect is decided by peer id in the gate, so these need only bound what
// strangers' handshakes cost.
func newLimits(c *Config) (network.ResourceManager, error) {
	return rcmgr.NewResourceManager(
		rcmgr.NewFixedLimiter(limitConfig(c)),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: subnetConns}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: subnetConns}, {PrefixLength: 48, ConnCount: 2 * subnetConns}},
		),
		rcmgr.WithConnRateLimiters(connRate()),
		rcmgr.WithMetricsDisabled(), // nobody reads them, and each frame would count in them
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

func limitConfig(c *Config) rcmgr.ConcreteLimitConfig {
	conns := c.MaxConns
	partial := rcmgr.PartialLimitConfig{
		System:              total(conns, 64*conns, c.Memory),
		Transient:           total(max(64, conns/4), max(256, conns), c.Memory/8),
		ServiceDefault:      streamLimits(64*conns, c.Memory/2),
		ServicePeerDefault:  streamLimits(peerStreams, peerMemory),
		ProtocolDefault:     DefaultLimit.all(),
		ProtocolPeerDefault: DefaultLimit.one(),
		PeerDefault:         total(peerConns, peerStreams, peerMemory),
		Conn:                rcmgr.ResourceLimits{Conns: 1, ConnsInbound: 1, ConnsOutbound: 1, FD: 1, Memory: peerMemory},
		Stream:              streamLimits(1, peerMemory),
		Protocol:            map[protocol.ID]rcmgr.ResourceLimits{},
		ProtocolPeer:        map[protocol.ID]rcmgr.ResourceLimits{},
	}
	for proto, l := range c.Limits {
		partial.Protocol[protocol.ID(proto)], partial.ProtocolPeer[protocol.ID(proto)] = l.all(), l.one()
	}
	return partial.Build(rcmgr.DefaultLimits.Scale(c.Memory, 4*conns))
}

func (l Limit) all() rcmgr.ResourceLimits { return streamLimits(l.Streams, l.Memory) }
func (l Limit) one() rcmgr.ResourceLimits { return streamLimits(l.PerPeer, min(l.Memory, peerMemory)) }

// reserve counts what a stream that was just opened may hold against its protocol,
// its peer and the host, until it ends.
func reserve(s network.Stream, p Policy) error {
	return s.Scope().ReserveMemory(streamBuffers+p.MaxRequest, network.ReservationPriorityHigh)
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
