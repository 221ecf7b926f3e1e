// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tocsin-db/tocsin/spec"
)

// A member is one machine of a test: what survives its crashes and, while it
// runs, its node.
type member struct {
	id    string
	dir   string
	store *memStore
	log   *memLog
	trans *raft.InmemTransport
	node  *Node
	fatal atomic.Pointer[Fault] // reported since the last start
}

// A cluster runs members on the transport in memory, inside a synctest bubble.
type cluster struct {
	t       *testing.T
	ctx     context.Context
	bubble  bool // whether the members run inside one
	members map[string]*member
	voters  []string
	killed  []*Node
	tune    func(*Config)
}

// inCluster runs f with n started founders a, b, c… and checks at the end that
// no member applied an entry twice.
func inCluster(t *testing.T, n int, tune func(*Config), f func(c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, ctx: t.Context(), bubble: true, members: map[string]*member{}, tune: tune}
		for i := range n {
			c.voters = append(c.voters, string(rune('a'+i)))
		}
		for _, id := range c.voters {
			c.add(id)
			c.start(id)
		}
		defer c.end()
		f(c)
	})
}

// end checks what always holds and stops everything: the bubble's time stands
// still once its first function returns.
func (c *cluster) end() {
	for _, m := range c.members {
		if twice := m.store.twice(); len(twice) > 0 {
			c.t.Errorf("%s applied entries %v more than once", m.id, twice)
		}
		if m.node != nil {
			c.kill(m.id)
		}
	}
	for _, n := range c.killed {
		<-n.ended
	}
}

func (c *cluster) add(id string) *member {
	m := &member{id: id, dir: c.t.TempDir(), store: newMemStore(), log: newMemLog()}
	c.members[id] = m
	return m
}

// config is the configuration of a member.
func (c *cluster) config(m *member) Config {
	cfg := Config{
		ID: m.id, Dir: m.dir, Voters: c.voters, Tick: m.tickEvery(30 * time.Second),
		Peers:   filepath.Join(m.dir, "peers.json"),
		Fatal:   func(err error) { m.fatal.Store(err.(*Fault)) },
		OpenLog: func(string) (LogBackend, error) { m.log.closed = false; return m.log, nil },
	}
	if os.Getenv("CONSENSUS_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", m.id)
	}
	if c.tune != nil {
		c.tune(&cfg)
	}
	return cfg
}

// tickEvery asks for a tick when none was proposed by this member for a while. The
// size of its checkpoint is the time, so that tests can tell.
func (m *member) tickEvery(d time.Duration) func() (*spec.Timed, bool) {
	var last time.Time
	return func() (*spec.Timed, bool) {
		if time.Since(last) < d {
			return nil, false
		}
		last = time.Now()
		return &spec.Timed{Size: uint64(last.UnixMilli())}, true
	}
}

// try starts a member and returns the error of Start.
func (c *cluster) try(id string) error {
	m := c.members[id]
	m.fatal.Store(nil)
	_, m.trans = raft.NewInmemTransport(raft.ServerAddress(id))
	node, err := Start(c.config(m), m.store, m.trans)
	if err != nil {
		return err
	}
	m.node = node
	c.connect(id)
	return nil
}

func (c *cluster) start(id string) {
	c.t.Helper()
	if err := c.try(id); err != nil {
		c.t.Fatalf("start %s: %v", id, err)
	}
}

// connect joins a member to all that run.
func (c *cluster) connect(id string) {
	m := c.members[id]
	for _, o := range c.members {
		if o.node != nil && o != m {
			m.trans.Connect(raft.ServerAddress(o.id), o.trans)
			o.trans.Connect(raft.ServerAddress(id), m.trans)
		}
	}
}

// isolate cuts a member off from the others.
func (c *cluster) isolate(id string) {
	c.members[id].trans.DisconnectAll()
	for _, o := range c.members {
		if o.trans != nil {
			o.trans.Disconnect(raft.ServerAddress(id))
		}
	}
}

// kill ends a member's node at once; nothing that it does from here on reaches
// another member.
func (c *cluster) kill(id string) {
	m := c.members[id]
	c.isolate(id)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = m.node.Stop(ctx)
	c.killed = append(c.killed, m.node)
	m.node = nil
}

// crash is a power cut: what was not durable is gone.
func (c *cluster) crash(id string) {
	m := c.members[id]
	// Both at one instant: the disk is one.
	m.log.mu.Lock()
	m.store.mu.Lock()
	store := &memStore{live: m.store.durable.clone(), durable: m.store.durable.clone()}
	log := &memLog{logs: maps.Clone(m.log.logs), vals: maps.Clone(m.log.vals)}
	m.store.mu.Unlock()
	m.log.mu.Unlock()
	c.kill(id)
	m.store, m.log = store, log
}

// stop ends a member's node in good order.
func (c *cluster) stop(id string) {
	c.t.Helper()
	m := c.members[id]
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := m.node.Stop(ctx); err != nil {
		c.t.Fatalf("stop %s: %v", id, err)
	}
	c.isolate(id)
	m.node = nil
}

// until polls a condition for as long as limit of the bubble's time. Raft's waits are
// multiples of the poll's 10 ms too: what happens at the same instant is over before
// the condition is looked at.
func (c *cluster) until(limit time.Duration, what string, cond func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, limit)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	settled := func() bool {
		if c.bubble {
			synctest.Wait()
		}
		return cond()
	}
	for !settled() {
		select {
		case <-poll.C:
		case <-ctx.Done():
			for _, m := range c.members {
				if m.node != nil {
					c.t.Logf("%s: %+v, %d ops, fatal %v", m.id, m.node.Status(), len(m.store.ops()), m.fatal.Load())
				}
			}
			c.t.Fatalf("waited %v for: %s", limit, what)
		}
	}
}

// leader waits for a member that leads and whose lead is acknowledged.
func (c *cluster) leader() *member {
	c.t.Helper()
	var led *member
	c.until(time.Minute, "a leader", func() bool {
		for _, m := range c.members {
			if m.node != nil && m.node.IsLeader() {
				led = m
				return true
			}
		}
		return false
	})
	return led
}

func (c *cluster) follower() *member {
	c.t.Helper()
	led := c.leader()
	for _, id := range c.voters {
		if m := c.members[id]; m != led && m.node != nil {
			return m
		}
	}
	c.t.Fatal("no follower")
	return nil
}

// submit proposes an operation on whoever leads until it is acknowledged.
func (c *cluster) submit(op string) {
	c.t.Helper()
	c.until(30*time.Second, "acknowledgement of "+op, func() bool {
		ctx, cancel := context.WithTimeout(c.ctx, 5*time.Second)
		defer cancel()
		_, err := c.leader().node.Submit(ctx, sub("%s", op))
		return err == nil
	})
}

// fill submits n operations that differ.
func (c *cluster) fill(name string, n int) {
	c.t.Helper()
	for i := range n {
		c.submit(fmt.Sprintf("%s-%d", name, i))
	}
}

// converge waits until all running members hold the same operations, n of them
// unless n is negative.
func (c *cluster) converge(n int) []string {
	c.t.Helper()
	var all []string
	c.until(60*time.Second, fmt.Sprintf("%d equal operations everywhere", n), func() bool {
		all = nil
		for _, m := range c.members {
			if m.node == nil {
				continue
			}
			ops := m.store.ops()
			if all == nil {
				all = ops
			}
			if (n >= 0 && len(ops) != n) || fmt.Sprint(ops) != fmt.Sprint(all) {
				return false
			}
		}
		return true
	})
	return all
}

// settle makes all running members apply what is committed, and returns it.
// They may all hold the same old state for a moment; one more operation shows
// that they are past it.
func (c *cluster) settle() []string {
	c.t.Helper()
	c.submit("settled")
	var all []string
	c.until(60*time.Second, "everybody to have settled", func() bool {
		all = c.converge(-1)
		return slices.Contains(all, "settled")
	})
	return all
}

// faultOf waits for the fault that a member reports.
func (c *cluster) faultOf(m *member, exit int) {
	c.t.Helper()
	c.until(30*time.Second, "a fault of "+m.id, func() bool { return m.fatal.Load() != nil })
	if f := m.fatal.Load(); f.Exit != exit {
		c.t.Fatalf("%s stopped with %v and exit code %d, want %d", m.id, f, f.Exit, exit)
	}
}
