// SPDX-License-Identifier: Apache-2.0

package p2p_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/tocsin-db/tocsin/p2p"
)

// A peer that opens more streams of one protocol than it may, and peers that
// together hold more memory than the protocol may, are cut off; another protocol
// goes on over the same connections.
func TestACrowdedProtocolLeavesOthersAlone(t *testing.T) {
	const vital = "/vital/1"
	for name, c := range map[string]struct {
		limit          p2p.Limit
		first, further int // streams that each of two peers gets
	}{
		"streams of one peer":  {p2p.Limit{Streams: 100, PerPeer: 3, Memory: 1 << 30}, 3, 3},
		"streams of all peers": {p2p.Limit{Streams: 5, PerPeer: 100, Memory: 1 << 30}, 5, 0},
		"memory of all peers":  {p2p.Limit{Streams: 100, PerPeer: 100, Memory: 5 << 20}, 3, 0}, // a frame and buffers each, and the last fifth is kept free
	} {
		t.Run(name, func(t *testing.T) {
			ctx, dir := withTimeout(t), &roles{}
			server, err := p2p.NewHost(p2p.Config{
				Key: keyOf(t, 1), Listen: tcpOnly, Directory: dir, Logger: slog.New(slog.DiscardHandler),
				Limits: map[string]p2p.Limit{"/crowd/1": c.limit},
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = server.Close() })
			dir.set(server.ID(), "member")
			everybody := p2p.Policy{Roles: []string{p2p.AnyRole}, MaxStreams: 1000}
			server.HandleStream("/crowd/1", everybody, func(ctx context.Context, _ *p2p.Stream) error {
				<-ctx.Done()
				return nil
			})
			server.HandleConn(vital, everybody, func(_ p2p.PeerID, c net.Conn) {
				go func() {
					defer c.Close()
					_, _ = io.CopyN(c, c, 4)
					_, _ = c.Read(make([]byte, 1)) // until the other end has read all
				}()
			})
			for i, want := range []int{c.first, c.further} {
				peer := newHost(t, byte(2+i), dir, nil)
				dir.set(peer.ID(), "reader")
				if err := peer.AddPeer(server.ID(), server.Addrs()); err != nil {
					t.Fatal(err)
				}
				got := 0
				for range 20 {
					if _, err := peer.OpenStream(ctx, server.ID(), "/crowd/1"); err == nil {
						got++
					}
				}
				if got != want {
					t.Errorf("peer %d holds %d streams, want %d", i, got, want)
				}
				echoes(t, ctx, peer, server.ID(), vital)
			}
		})
	}
}

func echoes(t *testing.T, ctx context.Context, from *p2p.Host, to p2p.PeerID, proto string) {
	t.Helper()
	conn, err := from.DialConn(ctx, to, proto)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b := make([]byte, 4)
	if _, err = conn.Write([]byte("raft")); err == nil {
		_, err = io.ReadFull(conn, b)
	}
	if err != nil || string(b) != "raft" {
		t.Fatalf("the other protocol answers %q, %v", b, err)
	}
}
