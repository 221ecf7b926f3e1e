// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"bytes"
	"context"
	"crypto/ed25519"
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
	"github.com/tocsin-db/tocsin/spec/tlog"
)

const origin = "test.example/0123456789abcdef"

// council is four organisations, three of which make a checkpoint final.
type council struct {
	*tlog.Panel
	keys []ed25519.PrivateKey
}

var newCouncil = sync.OnceValue(func() *council {
	c := &council{}
	of := &spec.Panel{K: 3}
	for i := range 4 {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize))
		c.keys = append(c.keys, key)
		of.Seats = append(of.Seats, spec.Seat{Org: fmt.Sprintf("org-%d", i), Key: publicOf(key)})
	}
	var err error
	if c.Panel, err = tlog.NewPanel(origin, of); err != nil {
		panic(err)
	}
	return c
})

func publicOf(key ed25519.PrivateKey) spec.PublicKey {
	return spec.PublicKey(key.Public().(ed25519.PublicKey))
}

// note is a checkpoint with n cosignatures of a time.
func (c *council) note(size uint64, root spec.Hash, n int, at time.Time) []byte {
	s := &tlog.Signed{Checkpoint: tlog.Checkpoint{Origin: origin, Size: size, Root: root}}
	for i := range n {
		s.Cosignatures = append(s.Cosignatures, tlog.Cosign(s.Checkpoint, fmt.Sprintf("org-%d", i), c.keys[i], uint64(at.Unix())))
	}
	b, err := c.Panel.Note(s)
	if err != nil {
		panic(err)
	}
	return b
}

// memLog is a log in memory, both Source and Replica. The last leaf of each group
// commits to all leaves before it: that is the rule by which Append replays.
type memLog struct {
	mu     sync.Mutex
	tree   tlog.Memory
	groups []Group
	state  [32]byte
	size   uint64 // final
	note   []byte
	grown  chan struct{} // closed and replaced at each change
	fail   error         // what Append returns, when set
	keep   uint64        // groups before it are gone
	told   Final
}

func newLog() *memLog { return &memLog{grown: make(chan struct{})} }

// grow appends a valid group and makes it final.
func (m *memLog) grow(openings []Opening, payloads ...[]byte) {
	m.add(openings, payloads...)
	m.finish()
}

// add appends a valid group that is not final yet.
func (m *memLog) add(openings []Opening, payloads ...[]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := Group{First: m.tree.Size, Leaves: payloads, Openings: openings}
	state := next(m.state, payloads)
	g.Leaves = append(g.Leaves[:len(g.Leaves):len(g.Leaves)], state[:])
	m.put(g, state)
}

// finish makes all of the log final, as of now.
func (m *memLog) finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.size, m.note = m.tree.Size, newCouncil().note(m.tree.Size, m.tree.Root(), 3, time.Now())
	close(m.grown)
	m.grown = make(chan struct{})
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

func (m *memLog) put(g Group, state [32]byte) {
	for _, l := range g.Leaves {
		m.tree.Add(spec.LeafHash(l))
	}
	m.groups, m.state = append(m.groups, g), state
}

func (m *memLog) Final() (uint64, []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.size, m.note
}

func (m *memLog) Size() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tree.Size
}

func (m *memLog) LogHash(level int, index uint64) (spec.Hash, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tree.LogHash(level, index)
}

func (m *memLog) Prove(old, size uint64) ([]spec.Hash, error) { return tlog.Consistency(m, old, size) }

func (m *memLog) Read(_ context.Context, role string, from uint64, maxBytes int) ([]Group, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if from < m.keep {
		return nil, p2p.Gone(m.keep)
	}
	var out []Group
	for _, g := range m.groups {
		if g.First < from || g.Next() > m.size {
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

func (m *memLog) Append(groups []Group, ready func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	size, state := m.tree.Size, m.state
	var states [][32]byte
	for _, g := range groups {
		last := len(g.Leaves) - 1
		state = next(state, g.Leaves[:last])
		if g.First != size || !bytes.Equal(g.Leaves[last], state[:]) {
			return spec.Errorf(spec.CodeReplica, "the group at %d does not follow", g.First)
		}
		size = g.Next()
		states = append(states, state)
	}
	m.mu.Unlock()
	err := ready()
	m.mu.Lock()
	if err != nil {
		return err
	}
	for i, g := range groups {
		m.put(g, states[i])
	}
	m.serve()
	return nil
}

func (m *memLog) Check(s *tlog.Signed) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.Size != m.tree.Size || s.Root != m.tree.Root() {
		return spec.Errorf(spec.CodeCorrupt, "another root")
	}
	return nil
}

// shown lets a replica serve what its reader showed.
func (m *memLog) shown(f Final) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = f
	m.serve()
}

// serve serves what the reader told once it is here.
func (m *memLog) serve() {
	if m.told.Signed == nil || m.told.Size > m.tree.Size {
		return
	}
	m.size, m.note = m.told.Size, m.told.Note
	close(m.grown)
	m.grown = make(chan struct{})
}

// equal tells whether two logs hold the same leaves.
func (m *memLog) equal(o *memLog) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	return m.tree.Size == o.tree.Size && m.tree.Root() == o.tree.Root()
}

func (m *memLog) openings() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.groups {
		n += len(g.Openings)
	}
	return n
}

// memMarks keep a mark in memory and fail a test that lowers it.
type memMarks struct {
	mu   sync.Mutex
	mark Mark
	fail error
}

func (k *memMarks) Mark() Mark {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mark
}

func (k *memMarks) Raise(m Mark) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return k.fail
	}
	if m.Size < k.mark.Size || m.Shown < k.mark.Shown {
		return errors.New("the mark was lowered")
	}
	k.mark = m
	return nil
}

// pipes is a network of pipes within one test: a Dialer and, per server, a
// Listener. It is deterministic under synctest.
type pipes struct {
	ctx    context.Context
	mu     sync.Mutex
	serves map[p2p.PeerID]map[string]p2p.StreamHandler
	dials  map[p2p.PeerID]int
	down   map[p2p.PeerID]bool
	cut    map[p2p.PeerID][]func()
	role   string
	wrap   func(p2p.PeerID, net.Conn) net.Conn // of the serving end, or nil
}

func newPipes(ctx context.Context) *pipes {
	return &pipes{ctx: ctx, serves: map[p2p.PeerID]map[string]p2p.StreamHandler{}, dials: map[p2p.PeerID]int{}, down: map[p2p.PeerID]bool{}, cut: map[p2p.PeerID][]func(){}, role: "reader"}
}

type listener struct {
	n  *pipes
	id p2p.PeerID
}

func (l listener) HandleStream(proto string, _ p2p.Policy, fn p2p.StreamHandler) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if l.n.serves[l.id] == nil {
		l.n.serves[l.id] = map[string]p2p.StreamHandler{}
	}
	l.n.serves[l.id][proto] = fn
}

func (n *pipes) at(id p2p.PeerID) Listener { return listener{n, id} }

func (n *pipes) dialled(id p2p.PeerID) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials[id]
}

// cutOff breaks every stream to a server.
func (n *pipes) cutOff(id p2p.PeerID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, cut := range n.cut[id] {
		cut()
	}
	n.cut[id] = nil
}

// part takes a server off the network, or puts it back.
func (n *pipes) part(id p2p.PeerID, down bool) {
	n.mu.Lock()
	n.down[id] = down
	n.mu.Unlock()
	if down {
		n.cutOff(id)
	}
}

// at is who dials, for networks where readers serve too.
type dialerOf struct {
	*pipes
	id p2p.PeerID
}

func (d dialerOf) OpenStream(ctx context.Context, to p2p.PeerID, proto string) (*p2p.Stream, error) {
	return d.pipes.open(ctx, d.id, to, proto)
}

func (n *pipes) OpenStream(ctx context.Context, to p2p.PeerID, proto string) (*p2p.Stream, error) {
	return n.open(ctx, "reader", to, proto)
}

func (n *pipes) open(ctx context.Context, from, to p2p.PeerID, proto string) (*p2p.Stream, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials[to]++
	fn := n.serves[to][proto]
	if fn == nil || n.down[to] || n.down[from] {
		return nil, p2p.ErrNotSent
	}
	near, far := net.Pipe()
	if n.wrap != nil {
		far = n.wrap(to, far)
	}
	n.cut[to] = append(n.cut[to], func() { _ = near.Close() })
	n.cut[from] = append(n.cut[from], func() { _ = near.Close() })
	context.AfterFunc(ctx, func() { _ = near.Close() })
	served, stop := context.WithCancel(n.ctx)
	go func() {
		defer stop()
		context.AfterFunc(served, func() { _ = far.Close() })
		if fn(served, p2p.NewStream(pipeConn{far}, from, n.role)) != nil {
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

var serveOpts = ServeOptions{Roles: []string{"member", "reader"}, Logger: quiet}

// desk is a reader of a test with what it stands on.
type desk struct {
	*Reader
	log    *memLog
	marks  *memMarks
	mu     sync.Mutex
	states []State
	forks  []Fork
	done   chan error
}

// read runs a reader of these upstreams until ctx ends.
func read(ctx context.Context, d Dialer, ups []p2p.PeerID, change ...func(*ReaderConfig)) *desk {
	k := newDesk(d, ups, newLog(), &memMarks{}, change...)
	k.run(ctx)
	return k
}

func newDesk(d Dialer, ups []p2p.PeerID, log *memLog, marks *memMarks, change ...func(*ReaderConfig)) *desk {
	k := &desk{log: log, marks: marks, done: make(chan error, 1)}
	cfg := ReaderConfig{
		Dialer: d, Panel: newCouncil().Panel, Replica: k.log, Marks: k.marks, Logger: quiet, OnFinal: k.log.shown,
		OnFork:  func(f Fork) { k.forks = append(k.forks, f) },
		OnState: func(_, to State) { k.mu.Lock(); defer k.mu.Unlock(); k.states = append(k.states, to) },
	}
	for _, c := range change {
		c(&cfg)
	}
	k.Reader = NewReader(cfg)
	k.SetUpstreams(ups)
	return k
}

func (k *desk) run(ctx context.Context) { go func() { k.done <- k.Run(ctx) }() }

func (k *desk) went() []State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]State(nil), k.states...)
}

// is fails unless the reader is in a state, with exactly this log.
func (k *desk) is(t *testing.T, want State, src *memLog) {
	t.Helper()
	st := k.Status()
	if st.State != want {
		t.Fatalf("state %s (%s), want %s; went %v", st.State, st.LastError, want, k.went())
	}
	if src != nil && !k.log.equal(src) {
		t.Fatalf("the reader has %d leaves of %d (%s: %s)", k.log.Size(), src.Size(), st.State, st.LastError)
	}
}

func (k *desk) eager() p2p.PeerID {
	for _, u := range k.Status().Upstreams {
		if u.Eager {
			return u.Peer
		}
	}
	return ""
}

func (k *desk) eagerCount() (n int) {
	for _, u := range k.Status().Upstreams {
		if u.Eager {
			n++
		}
	}
	return n
}

// offences is what is held against an upstream.
func (k *desk) offences(id p2p.PeerID) int {
	k.Reader.mu.Lock()
	defer k.Reader.mu.Unlock()
	return k.upstream(id).offences
}

// advance lets the bubble's clock run on by d, and what then happens happen.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// bubble runs a test in virtual time with a context that ends before it.
func bubble(t *testing.T, fn func(t *testing.T, ctx context.Context, n *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer advance(time.Second)
		defer cancel()
		fn(t, ctx, newPipes(ctx))
	})
}

var errDisk = errors.New("disk full")

func bytesOf(n int, b byte) []byte { return bytes.Repeat([]byte{b}, n) }
