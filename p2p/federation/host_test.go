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

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
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
			ctx, cancel := context.WithCancel(t.Context())
			dir := consortium{idOf(t, 1): "member", idOf(t, 2): "reader", idOf(t, 3): "member", idOf(t, 4): "referrer"}
			server := newHost(t, 1, dir, listen)
			addrs := server.Addrs()
			src := newLog()
			Serve(server, src, serveOpts)
			follow := func(n byte) (*Follower, *memLog, <-chan error) {
				h, sink := newHost(t, n, dir), newLog()
				if err := h.AddPeer(server.ID(), addrs); err != nil {
					t.Fatal(err)
				}
				f := NewFollower(h, []p2p.PeerID{server.ID()}, sink, FollowOptions{Logger: quiet})
				return f, sink, start(ctx, f)
			}
			for i := range 100 {
				src.grow([]Opening{{Case: [32]byte{byte(i)}, Bytes: bytesOf(1000, byte(i))}}, bytesOf(300, byte(i+1)))
			}
			_, reader, readerDone := follow(2)
			_, member, memberDone := follow(3)
			denied, _, deniedDone := follow(4)
			eventually(t, "both have the log", func() bool { return reader.equal(src) && member.equal(src) })
			if reader.openings() != 0 || member.openings() != 100 {
				t.Errorf("openings: reader %d, member %d", reader.openings(), member.openings())
			}
			eventually(t, "the other role is refused", func() bool { return denied.Status().LastError == "not allowed" })

			if err := server.Close(); err != nil {
				t.Fatal(err)
			}
			server = newHost(t, 1, dir, addrs...)
			src.grow(nil, []byte("after the restart"))
			Serve(server, src, serveOpts)
			eventually(t, "both go on", func() bool { return reader.equal(src) && member.equal(src) })
			cancel()
			for _, done := range []<-chan error{readerDone, memberDone, deniedDone} {
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Errorf("follower ended with %v", err)
				}
			}
		})
	}
}

// BenchmarkCatchUp measures how fast an empty follower takes a log over
// loopback: groups of 8 leaves of 300 bytes and one opening of 4 KiB. The sink
// checks the chain of every group.
func BenchmarkCatchUp(b *testing.B) {
	for _, listen := range []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"} {
		b.Run(listen[len("/ip4/127.0.0.1/"):], func(b *testing.B) {
			dir := consortium{idOf(b, 1): "member", idOf(b, 3): "member"}
			server, h := newHost(b, 1, dir, listen), newHost(b, 3, dir)
			src, sink := newLog(), newLog()
			for i := range b.N {
				var leaves [][]byte
				for j := range 8 {
					leaves = append(leaves, fmt.Appendf(nil, "%300d", 8*i+j))
				}
				src.grow([]Opening{{Bytes: bytesOf(4<<10, byte(i))}}, leaves...)
			}
			Serve(server, linear{src}, serveOpts)
			if err := h.AddPeer(server.ID(), server.Addrs()); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(src.groups[0].cost() - 10*itemCost))
			b.ResetTimer()
			f := NewFollower(h, []p2p.PeerID{server.ID()}, sink, FollowOptions{Logger: quiet})
			ctx, cancel := context.WithCancel(b.Context())
			done := start(ctx, f)
			if err := sink.Wait(ctx, src.Size()-1); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if !sink.equal(src) {
				b.Fatal("the logs differ")
			}
			b.ReportMetric(float64(src.Size())/b.Elapsed().Seconds(), "leaves/s")
			cancel()
			<-done
		})
	}
}

// linear reads without memLog's scan from the start.
type linear struct{ *memLog }

func (l linear) Read(ctx context.Context, _ string, from uint64, maxBytes int) ([]Group, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := int(from) / 9 // eight leaves and the state
	n, end := 0, first
	for end < len(l.groups) && (n == 0 || n+l.groups[end].cost() <= maxBytes) {
		n += l.groups[end].cost()
		end++
	}
	return l.groups[first:end], nil
}

// BenchmarkPush measures one new group from the source's append to the sink's
// commit, on an idle live stream over loopback.
func BenchmarkPush(b *testing.B) {
	dir := consortium{idOf(b, 1): "member", idOf(b, 3): "member"}
	server, h := newHost(b, 1, dir, "/ip4/127.0.0.1/tcp/0"), newHost(b, 3, dir)
	src, sink := newLog(), newLog()
	Serve(server, linear{src}, serveOpts)
	if err := h.AddPeer(server.ID(), server.Addrs()); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	f := NewFollower(h, []p2p.PeerID{server.ID()}, sink, FollowOptions{Logger: quiet})
	done := start(ctx, f)
	eventually(b, "live", func() bool { return f.Status().State == Live })
	leaves := make([][]byte, 8)
	for i := range leaves {
		leaves[i] = bytesOf(300, byte(i+1))
	}
	for b.Loop() {
		src.grow(nil, leaves...)
		if err := sink.Wait(ctx, src.Size()-1); err != nil {
			b.Fatal(err)
		}
	}
	if !sink.equal(src) {
		b.Fatal("the logs differ")
	}
	cancel()
	<-done
}
