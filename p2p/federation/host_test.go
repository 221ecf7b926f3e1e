// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/internal/loopback"
)

// consortium is a Directory: the serving host and the peers of each role.
type consortium map[p2p.PeerID]string

func (c consortium) Role(id p2p.PeerID) (string, bool) { role, ok := c[id]; return role, ok }

func idOf(t testing.TB, n byte) p2p.PeerID {
	t.Helper()
	id, err := p2p.IDFromPublicKey(keyOf(n).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func keyOf(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func newHost(t testing.TB, n byte, dir p2p.Directory, listen ...string) *p2p.Host {
	t.Helper()
	h, err := p2p.NewHost(p2p.Config{Key: keyOf(n), Listen: listen, Directory: dir, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// eventually fails the test unless cond holds within two minutes: QUIC may notice only
// after 30 s of silence that its peer is gone.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(2 * time.Minute)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// The whole way over libp2p: a reader that only dials out follows, loses its
// upstream, and goes on when it is back; a member also gets the openings.
func TestFollowOverLibp2p(t *testing.T) {
	for _, listen := range []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"} {
		t.Run(listen, func(t *testing.T) {
			listen, err := loopback.At(listen)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			dir := consortium{idOf(t, 1): "member", idOf(t, 2): "reader", idOf(t, 3): "member", idOf(t, 4): "referrer"}
			server := newHost(t, 1, dir, listen)
			addrs := server.Addrs()
			src := newLog()
			Serve(server, src, serveOpts)
			follow := func(n byte) *desk {
				h := newHost(t, n, dir)
				if err := h.AddPeer(server.ID(), addrs); err != nil {
					t.Fatal(err)
				}
				return read(ctx, h, []p2p.PeerID{server.ID()})
			}
			for i := range 100 {
				src.grow([]Opening{{Case: [32]byte{byte(i)}, Bytes: bytesOf(1000, byte(i))}}, bytesOf(300, byte(i+1)))
			}
			reader, member, denied := follow(2), follow(3), follow(4)
			eventually(t, "both have the log", func() bool { return reader.log.equal(src) && member.log.equal(src) })
			if reader.log.openings() != 0 || member.log.openings() != 100 {
				t.Errorf("openings: reader %d, member %d", reader.log.openings(), member.log.openings())
			}
			eventually(t, "the other role is refused", func() bool { return denied.Status().LastError == "not allowed" })

			if err := server.Close(); err != nil {
				t.Fatal(err)
			}
			server = newHost(t, 1, dir, addrs...)
			src.grow(nil, []byte("after the restart"))
			Serve(server, src, serveOpts)
			eventually(t, "both go on", func() bool { return reader.log.equal(src) && member.log.equal(src) })
			cancel()
			for _, k := range []*desk{reader, member, denied} {
				if err := <-k.done; !errors.Is(err, context.Canceled) {
					t.Errorf("a reader ended with %v", err)
				}
			}
		})
	}
}

// BenchmarkCatchUp measures how fast an empty reader takes a log over loopback:
// groups of 8 leaves of 300 bytes, one of 32, and an opening of 4 KiB.
func BenchmarkCatchUp(b *testing.B) {
	for _, listen := range []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"} {
		b.Run(listen[len("/ip4/127.0.0.1/"):], func(b *testing.B) {
			dir := consortium{idOf(b, 1): "member", idOf(b, 3): "member"}
			server, h := newHost(b, 1, dir, listen), newHost(b, 3, dir)
			src := newLog()
			for i := range b.N {
				var leaves [][]byte
				for j := range 8 {
					leaves = append(leaves, fmt.Appendf(nil, "%300d", 8*i+j))
				}
				src.add([]Opening{{Bytes: bytesOf(4<<10, byte(i))}}, leaves...)
			}
			src.finish()
			opts := serveOpts
			opts.BulkRate = 1 << 40
			Serve(server, src, opts)
			if err := h.AddPeer(server.ID(), server.Addrs()); err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			b.SetBytes(8*300 + 32 + 4<<10)
			b.ResetTimer()
			k := read(ctx, h, []p2p.PeerID{server.ID()})
			eventually(b, "all is here", func() bool { return k.log.Size() == src.Size() })
			b.StopTimer()
			b.ReportMetric(float64(9*b.N)/b.Elapsed().Seconds(), "leaves/s")
			cancel()
			<-k.done
		})
	}
}
