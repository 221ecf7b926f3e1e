// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"context"
	"net"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
)

// conn is a stream as a net.Conn whose addresses are peer ids. Close resets: its
// users close on errors too, and the other side must not mistake a cut for an
// orderly end.
type conn struct {
	network.Stream
	once  sync.Once
	ended func()
}

func newConn(s network.Stream, ended func()) *conn { return &conn{Stream: s, ended: ended} }

func (c *conn) Close() error {
	err := c.Stream.Reset()
	c.once.Do(c.ended)
	return err
}

func (c *conn) LocalAddr() net.Addr  { return Addr(idOf(c.Stream.Conn().LocalPeer())) }
func (c *conn) RemoteAddr() net.Addr { return Addr(idOf(c.Stream.Conn().RemotePeer())) }

// Addr is a peer id as a net.Addr.
type Addr PeerID

// Network names the kind of address.
func (Addr) Network() string { return "tocsin" }

func (a Addr) String() string { return string(a) }

// DialConn opens an unframed stream to a peer. The error wraps ErrNotSent.
func (h *Host) DialConn(ctx context.Context, to PeerID, proto string) (net.Conn, error) {
	ns, err := h.open(ctx, to, proto)
	if err != nil {
		return nil, err
	}
	return newConn(ns, func() {}), nil
}
