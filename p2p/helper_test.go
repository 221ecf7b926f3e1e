// SPDX-License-Identifier: Apache-2.0

package p2p_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/internal/loopback"
)

// roles is a Directory that tests change.
type roles struct {
	mu sync.Mutex
	m  map[p2p.PeerID]string
}

func (r *roles) Role(id p2p.PeerID) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	role, ok := r.m[id]
	return role, ok
}

func (r *roles) set(id p2p.PeerID, role string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.m == nil {
		r.m = map[p2p.PeerID]string{}
	}
	r.m[id] = role
}

func (r *roles) drop(id p2p.PeerID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.m, id)
}

var (
	tcpOnly  = []string{"/ip4/127.0.0.1/tcp/0"}
	quicOnly = []string{"/ip4/127.0.0.1/udp/0/quic-v1"}
)

func keyOf(t testing.TB, n byte) ed25519.PrivateKey {
	t.Helper()
	key, err := p2p.PrivateKey(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newHost(t testing.TB, n byte, dir p2p.Directory, listen []string) *p2p.Host {
	t.Helper()
	h, err := p2p.NewHost(p2p.Config{
		Key: keyOf(t, n), Listen: listen, Directory: dir,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// lasting names a port that is still free after a restart.
func lasting(t testing.TB, listen []string) []string {
	t.Helper()
	at, err := loopback.At(listen[0])
	if err != nil {
		t.Fatal(err)
	}
	return []string{at}
}

// pair is a serving host 1 and a calling host 2 that only dials out, which know
// each other as "member" and "reader".
func pair(t testing.TB, listen []string) (server, caller *p2p.Host, dir *roles) {
	t.Helper()
	dir = &roles{}
	server, caller = newHost(t, 1, dir, listen), newHost(t, 2, dir, nil)
	dir.set(server.ID(), "member")
	dir.set(caller.ID(), "reader")
	if err := caller.AddPeer(server.ID(), server.Addrs()); err != nil {
		t.Fatal(err)
	}
	return server, caller, dir
}

func withTimeout(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// eventually fails the test unless cond holds within 90 s: QUIC may notice only after 30 s
// of silence that its peer is gone.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(90 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}
