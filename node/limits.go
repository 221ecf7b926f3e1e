// SPDX-License-Identifier: Apache-2.0

package node

import (
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/p2p/federation/state"
	"github.com/tocsin-db/tocsin/p2p/raftnet"
)

// maxSubmits is how many operations one peer may hand over at once.
const maxSubmits = 64

// spare is how many streams of a protocol there may be beyond those that are served,
// so that the others are told that there is no room.
const spare = 256

// limits says of every protocol how much of this node it may take: what followers do
// leaves raft, cosignatures and submissions what they need. Below them each protocol's
// policy answers BUSY; these cut off.
func (n *Node) limits() map[string]p2p.Limit {
	followers := spare + n.cfg.Subscribers
	if n.cfg.Subscribers <= 0 {
		followers = spare + federation.DefaultSubscribers
	}
	memory := n.cfg.Memory
	if memory <= 0 {
		memory = p2p.DefaultMemory
	}
	each := min(int64(followers)<<17, memory/8) // of the three protocols of followers: most stays free, whatever subscribers says
	small := p2p.Limit{Streams: 256, PerPeer: 16, Memory: 64 << 20}
	return map[string]p2p.Limit{
		n.raftProtocol():         raftnet.Limit,
		cosign.Protocol:          {Streams: 256, PerPeer: 32, Memory: 64 << 20},
		protocolSubmit:           {Streams: 512, PerPeer: 2 * maxSubmits, Memory: 256 << 20},
		federation.Protocol:      {Streams: followers, PerPeer: 4 * federation.MaxStreams, Memory: each},
		federation.RangeProtocol: {Streams: followers, PerPeer: 4 * federation.MaxStreams, Memory: each},
		state.Protocol:           {Streams: followers, PerPeer: 16, Memory: each},
		cosign.LogProtocol:       small, cosign.AlarmProtocol: small, cosign.RecallProtocol: small, protocolOpen: small, protocolKeys: small, protocolWitness: small,
		protocolPosition: small, protocolSeed: small, protocolJoin: small, protocolAddresses: small,
	}
}
