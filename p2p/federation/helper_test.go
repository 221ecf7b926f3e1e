// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// memLog is a log in memory, both Source and Sink. The last leaf of each group
// commits to all leaves before it, which is how Append verifies.
type memLog struct {
	mu     sync.Mutex
	groups []Group
	size   uint64
	state  [32]byte
	grown  chan struct{} // closed and replaced at each append
	fail   error         // what Append returns, when set
}

func newLog() *memLog { return &memLog{grown: make(chan struct{})} }

// grow appends a valid group with the given payloads and openings.
func (m *memLog) grow(openings []Opening, payloads ...[]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := Group{First: m.size, Leaves: payloads, Openings: openings}
	state := next(m.state, payloads)
	g.Leaves = append(g.Leaves[:len(g.Leaves):len(g.Leaves)], state[:])
	m.add(g, state)
}

func next(state [32]byte, leaves [][]byte) [32]byte {
	h := sha256.New()
	h.Write(state[:])
	for _, l := range leaves {
		fmt.Fprintf(h, "%d:", len(l))
		h.Write(l)
	}
	return [32]byte(h.Sum(nil))
}

func (m *memLog) add(g Group, state [32]byte) {
	m.groups, m.size, m.state = append(m.groups, g), g.Next(), state
	close(m.grown)
	m.grown = make(chan struct{})
}

func (m *memLog) Size() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.size
}

func (m *memLog) Read(_ context.Context, role string, from uint64, maxBytes int) ([]Group, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Group
	for _, g := range m.groups {
		if g.First < from {
			continue
		}
		if role != "member" {
			g.Openings = nil
		}
		if maxBytes -= g.cost(); maxBytes < 0 && len(out) > 0 {
			break
		}
		out = append(out, g)
	}
	if len(out) > 0 && out[0].First != from {
		return nil, spec.Errorf(spec.CodeNotFound, "no group begins at %d", from)
	}
	return out, nil
}

func (m *memLog) Wait(ctx context.Context, size uint64) error {
	for {
		m.mu.Lock()
		now, grown := m.size, m.grown
		m.mu.Unlock()
		if now > size {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *memLog) Append(_ context.Context, g Group) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	last := len(g.Leaves) - 1
	state := next(m.state, g.Leaves[:last])
	if g.First != m.size || !bytes.Equal(g.Leaves[last], state[:]) {
		return spec.Errorf(spec.CodeReplica, "the group at %d does not follow", g.First)
	}
	m.add(g, state)
	return nil
}

// equal tells whether two logs hold the same leaves.
func (m *memLog) equal(o *memLog) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	return m.size == o.size && m.state == o.state
}

func (m *memLog) openings() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.groups {
		n += len(g.Openings)
	}
	return n
}

// pipes is a network of pipes within one test: a Dialer and, per server, a
// Listener. It is deterministic under synctest.
type pipes struct {
	ctx    context.Context
	mu     sync.Mutex
	serves map[p2p.PeerID]p2p.StreamHandler
	dials  map[p2p.PeerID]int
	cut    []func()
	role   string
}

func newPipes(ctx context.Context) *pipes {
	return &pipes{ctx: ctx, serves: map[p2p.PeerID]p2p.StreamHandler{}, dials: map[p2p.PeerID]int{}, role: "reader"}
}

type listener struct {
	n  *pipes
	id p2p.PeerID
}

func (l listener) HandleStream(_ string, _ p2p.Policy, fn p2p.StreamHandler) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	l.n.serves[l.id] = fn
}

func (n *pipes) at(id p2p.PeerID) Listener { return listener{n, id} }

func (n *pipes) dialled(id p2p.PeerID) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials[id]
}

// cutAll breaks every stream.
func (n *pipes) cutAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, cut := range n.cut {
		cut()
	}
	n.cut = nil
}

func (n *pipes) OpenStream(ctx context.Context, to p2p.PeerID, _ string) (*p2p.Stream, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials[to]++
	fn := n.serves[to]
	if fn == nil {
		return nil, p2p.ErrNotSent
	}
	near, far := net.Pipe()
	n.cut = append(n.cut, func() { _ = near.Close() })
	context.AfterFunc(ctx, func() { _ = near.Close() })
	served, stop := context.WithCancel(n.ctx)
	go func() {
		defer stop()
		context.AfterFunc(served, func() { _ = far.Close() })
		if fn(served, p2p.NewStream(pipeConn{far}, "follower", n.role)) != nil {
			_ = far.Close()
		}
	}()
	return p2p.NewStream(pipeConn{near}, to, ""), nil
}

// pipeConn is a net.Pipe end as a p2p.Conn.
type pipeConn struct{ net.Conn }

// SetReadDeadline lets a reader take what it has buffered after the other end
// closed, as real streams do.
func (c pipeConn) SetReadDeadline(t time.Time) error {
	_ = c.Conn.SetReadDeadline(t)
	return nil
}

func (c pipeConn) CloseWrite() error { return nil }
func (c pipeConn) Reset() error      { return c.Close() }

var quiet = slog.New(slog.DiscardHandler)

// start runs a follower in the background and returns a channel with its result.
func start(ctx context.Context, f *Follower) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	return done
}

// advance lets the bubble's clock run on by d, and what then happens happen.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func wantState(t *testing.T, f *Follower, want State, from p2p.PeerID) {
	t.Helper()
	if st := f.Status(); st.State != want || st.Upstream != from {
		t.Fatalf("state %s from %q (%s), want %s from %q", st.State, st.Upstream, st.LastError, want, from)
	}
}

var errDisk = errors.New("disk full")

func bytesOf(n int, b byte) []byte { return bytes.Repeat([]byte{b}, n) }

var serveOpts = ServeOptions{Roles: []string{"reader", "member"}, Logger: quiet}
