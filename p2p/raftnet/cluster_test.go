// SPDX-License-Identifier: Apache-2.0

package raftnet_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/internal/loopback"
	"github.com/tocsin-db/tocsin/p2p/raftnet"
)

// cluster is three raft nodes over loopback libp2p.
type cluster struct {
	t       *testing.T
	members map[p2p.PeerID]bool // read only once the nodes run
	nodes   []*node
	barred  sync.Map // peer ids that no node accepts raft streams from
}

// node survives a restart in everything but its host and its raft.
type node struct {
	c     *cluster
	key   ed25519.PrivateKey
	id    p2p.PeerID
	addrs []string
	log   *hangingLog
	snaps raft.SnapshotStore
	host  *p2p.Host
	trans *raftnet.Transport
	raft  *raft.Raft
	fsm   *recorder
}

func (c *cluster) Role(id p2p.PeerID) (string, bool) { return "member", c.members[id] }

func newCluster(t *testing.T, listen string) *cluster {
	t.Helper()
	c := &cluster{t: t, members: map[p2p.PeerID]bool{}}
	var servers raft.Configuration
	for i := range 3 {
		key, err := p2p.PrivateKey(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize))
		must(t, err)
		id, err := p2p.IDFromPublicKey(key.Public().(ed25519.PublicKey))
		must(t, err)
		c.members[id] = true
		at, err := loopback.At(listen) // a node that restarts comes back there
		must(t, err)
		c.nodes = append(c.nodes, &node{
			c: c, key: key, id: id, addrs: []string{at},
			log: &hangingLog{InmemStore: raft.NewInmemStore()}, snaps: raft.NewInmemSnapshotStore(),
		})
		servers.Servers = append(servers.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	for _, n := range c.nodes {
		n.listen()
	}
	for _, n := range c.nodes {
		n.start()
		must(t, n.raft.BootstrapCluster(servers).Error())
	}
	return c
}

func (n *node) listen() {
	h, err := p2p.NewHost(p2p.Config{
		Key: n.key, Listen: n.addrs, Directory: n.c, Logger: slog.New(slog.DiscardHandler),
		Limits: map[string]p2p.Limit{raftnet.Protocol: raftnet.Limit},
	})
	must(n.c.t, err)
	n.host, n.addrs = h, h.Addrs()
	n.c.t.Cleanup(func() { _ = h.Close() })
}

func (n *node) start() {
	t := n.c.t
	for _, other := range n.c.nodes {
		if other != n {
			must(t, n.host.AddPeer(other.id, other.addrs))
		}
	}
	n.fsm = &recorder{}
	n.trans = raftnet.New(raftnet.Config{
		Host:       n.host,
		Allow:      func(id p2p.PeerID) bool { _, no := n.c.barred.Load(id); return n.c.members[id] && !no },
		Stuck:      n.log.stuckFor,
		StuckAfter: 500 * time.Millisecond,
		Logger:     slog.New(slog.DiscardHandler),
	})
	cfg := raft.DefaultConfig()
	cfg.LocalID = raft.ServerID(n.id)
	cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaderLeaseTimeout = time.Second, time.Second, 500*time.Millisecond
	cfg.CommitTimeout = 10 * time.Millisecond
	cfg.NoLegacyTelemetry = true
	cfg.Logger = hclog.NewNullLogger()
	r, err := raft.NewRaft(cfg, n.fsm, n.log, n.log.InmemStore, n.snaps, n.trans)
	must(t, err)
	n.raft = r
	t.Cleanup(func() { n.log.release(); _ = r.Shutdown().Error() })
}

func (n *node) stop() {
	must(n.c.t, n.raft.Shutdown().Error())
	must(n.c.t, n.trans.Close())
	must(n.c.t, n.host.Close())
}

// leader waits for one that is not among not.
func (c *cluster) leader(not ...*node) *node {
	c.t.Helper()
	var found *node
	eventually(c.t, "a leader", func() bool {
		for _, n := range c.nodes {
			if n.raft.State() == raft.Leader && !contains(not, n) {
				found = n
			}
		}
		return found != nil
	})
	return found
}

func contains(list []*node, n *node) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

// commit applies data through whoever leads, as often as leadership moves.
func (c *cluster) commit(data string, not ...*node) {
	c.t.Helper()
	eventually(c.t, "commit of "+data, func() bool {
		return c.leader(not...).raft.Apply([]byte(data), 5*time.Second).Error() == nil
	})
}

func (c *cluster) wantEverywhere(data string, nodes ...*node) {
	c.t.Helper()
	for _, n := range nodes {
		eventually(c.t, data+" applied on "+string(n.id), func() bool { return n.fsm.has(data) })
	}
}

var errAppend = errors.New("append failed")

// hangingLog is a log store whose appends can be made to hang, like a disk's.
type hangingLog struct {
	*raft.InmemStore
	mu    sync.Mutex
	gate  chan struct{} // non-nil: appends wait until it is closed
	since time.Time
	every int // n > 0: of each n appends all but one fail
	calls int
}

// flaky makes all but every nth append fail; 0 heals.
func (l *hangingLog) flaky(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.every, l.calls = n, 0
}

// attempts counts appends since flaky.
func (l *hangingLog) attempts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls
}

func (l *hangingLog) StoreLogs(logs []*raft.Log) error {
	l.mu.Lock()
	l.calls++
	if l.every > 0 && l.calls%l.every != 0 {
		l.mu.Unlock()
		return errAppend
	}
	l.since = time.Now()
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		<-gate
	}
	defer func() { l.mu.Lock(); l.since = time.Time{}; l.mu.Unlock() }()
	return l.InmemStore.StoreLogs(logs)
}

func (l *hangingLog) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

func (l *hangingLog) stuckFor() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		return 0
	}
	return time.Since(l.since)
}

func (l *hangingLog) hang() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate = make(chan struct{})
}

func (l *hangingLog) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gate != nil {
		close(l.gate)
		l.gate = nil
	}
}

// recorder is a state machine that remembers what was applied, in order.
type recorder struct {
	mu   sync.Mutex
	data []string
}

func (r *recorder) Apply(l *raft.Log) any {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data = append(r.data, string(l.Data))
	return nil
}

func (r *recorder) has(s string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.data {
		if d == s {
			return true
		}
	}
	return false
}

func (r *recorder) Snapshot() (raft.FSMSnapshot, error) { return nil, io.ErrUnexpectedEOF }
func (r *recorder) Restore(io.ReadCloser) error         { return io.ErrUnexpectedEOF }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(3 * time.Minute)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}
