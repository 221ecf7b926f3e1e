// SPDX-License-Identifier: Apache-2.0

package raftnet

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tocsin-db/tocsin/p2p"
)

// Protocol is the stream protocol that raft runs on.
const Protocol = "/tocsin/raft/1"

// ProtocolOf is the stream protocol of an era, as in Config.
func ProtocolOf(era string) string {
	if era == "" {
		return Protocol
	}
	return Protocol + "/" + era
}

// MaxStreams is how many raft streams one peer may have open: the pool, the
// heartbeats, a snapshot, and those that a restart left behind.
const MaxStreams = 64

// Limit is what raft may take of a host: streams to and from nine sequencers, and
// those that are about to be.
var Limit = p2p.Limit{Streams: 16 * MaxStreams, PerPeer: MaxStreams, Memory: 256 << 20}

// backlog holds accepted streams that raft has not taken yet.
const backlog = 16

// streamLayer is a raft.StreamLayer over a host.
type streamLayer struct {
	host   *p2p.Host
	proto  string
	accept chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// NewStreamLayer serves raft streams from enrolled peers that allow permits: the
// configured voters and nonvoters, as the node knows them from replicated
// state. allow is asked for each stream and on each Recheck of the host. era is as in
// Config.
func NewStreamLayer(host *p2p.Host, era string, allow func(p2p.PeerID) bool) raft.StreamLayer {
	l := &streamLayer{host: host, proto: ProtocolOf(era), accept: make(chan net.Conn, backlog), closed: make(chan struct{})}
	policy := p2p.Policy{Roles: []string{p2p.AnyRole}, Allow: allow, MaxStreams: MaxStreams}
	host.HandleConn(l.proto, policy, func(_ p2p.PeerID, c net.Conn) {
		select {
		case l.accept <- c:
		case <-l.closed:
			_ = c.Close()
		}
	})
	return l
}

// Dial opens a stream to the server at address, a peer id.
func (l *streamLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return l.host.DialConn(ctx, p2p.PeerID(address), l.proto)
}

// Accept returns the next inbound stream, or net.ErrClosed.
func (l *streamLayer) Accept() (net.Conn, error) {
	select {
	case c := <-l.accept:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and the inbound streams. Dialled ones are raft's to close.
func (l *streamLayer) Close() error {
	l.once.Do(func() {
		l.host.Unhandle(l.proto)
		close(l.closed)
	})
	return nil
}

// Addr is the host's peer id.
func (l *streamLayer) Addr() net.Addr { return p2p.Addr(l.host.ID()) }
