// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// memoryLog is a log in memory. Every leaf ends a group.
type memoryLog struct {
	mu      sync.Mutex
	tree    tlog.Memory
	leaves  [][]byte
	changed chan struct{}
}

func newMemoryLog() *memoryLog { return &memoryLog{changed: make(chan struct{})} }

func (l *memoryLog) grow(leaves ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range leaves {
		b := append([]byte{0x87, byte(spec.TagStateRoot)}, s...)
		l.leaves = append(l.leaves, b)
		l.tree.Add(spec.LeafHash(b))
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *memoryLog) LogHash(level int, index uint64) (spec.Hash, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tree.LogHash(level, index)
}

func (l *memoryLog) Size() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.leaves))
}

func (l *memoryLog) Wait(ctx context.Context, size uint64) error {
	for {
		l.mu.Lock()
		now, changed := uint64(len(l.leaves)), l.changed
		l.mu.Unlock()
		if now > size {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *memoryLog) Leaves(from uint64, _ int) ([][]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if from >= uint64(len(l.leaves)) {
		return nil, nil
	}
	return l.leaves[from : from+1], nil
}

// A sim is a consortium of sequencers whose requests take a millisecond.
type sim struct {
	t      *testing.T
	seats  []spec.Seat
	of     *spec.Panel // that founds the log
	keys   []ed25519.PrivateKey
	chain  *tlog.Chain
	nodes  []*simNode
	leader string
	mu     sync.Mutex
	cut    map[[2]int]bool
	ctx    context.Context
}

type simNode struct {
	*Cosigner
	sim    *sim
	i      int
	dir    string
	log    *memoryLog
	store  *Store
	final  *Keeper
	chain  *tlog.Chain
	handed int   // links that were made
	more   []Key // beside that of its number
	alarms []*Evidence
	stop   func()
}

const simOrigin = "trial/0123456789abcdef"

func newSim(t *testing.T, n int) *sim {
	t.Helper()
	s := &sim{t: t, cut: map[[2]int]bool{}, ctx: t.Context(), leader: "org-0"}
	for i := range n {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize))
		s.keys = append(s.keys, key)
		s.seats = append(s.seats, spec.Seat{Org: fmt.Sprintf("org-%d", i), Key: spec.PublicKey(key.Public().(ed25519.PublicKey))})
	}
	s.of = &spec.Panel{K: uint64(tlog.Quorum(n)), Seats: s.seats}
	s.chain = s.newChain()
	for i := range n {
		node := &simNode{sim: s, i: i, dir: t.TempDir(), log: newMemoryLog()}
		s.nodes = append(s.nodes, node)
	}
	return s
}

func (s *sim) newChain() *tlog.Chain {
	c, err := tlog.ChainFrom(simOrigin, s.of)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *sim) start() {
	for _, n := range s.nodes {
		n.start(true)
	}
}

// start opens the node's store and keeper and runs its cosigner.
func (n *simNode) start(first bool) {
	t := n.sim.t
	t.Helper()
	store, refused := OpenStore(filepath.Join(n.dir, "cosigned", "mark"), n.sim.seats[n.i].Key, first)
	if n.chain == nil {
		n.chain = n.sim.newChain()
	}
	final, err := OpenKeeper(filepath.Join(n.dir, "final", "checkpoint"), n.chain)
	if err != nil {
		t.Fatal(err)
	}
	n.store, n.final = store, final
	n.Cosigner = New(Config{
		Chain: n.chain, Org: n.sim.seats[n.i].Org, Keys: n.with(store), Log: n.log, Refused: refused, Final: final, Learn: n.learn,
		HandOff: func(uint64, *tlog.Link) { n.handed++ },
		Now:     time.Now, Logger: slog.New(slog.DiscardHandler), Leader: func() string { return n.sim.leader },
		Send:  func(ctx context.Context, org string, req []byte) ([]byte, error) { return n.sim.send(n.i, org, req) },
		Alarm: func(e *Evidence) { n.alarms = append(n.alarms, e) },
	})
	ctx, cancel := context.WithCancel(n.sim.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := n.Run(ctx); ctx.Err() == nil {
			t.Errorf("node %d: %v", n.i, err)
		}
	}()
	n.stop = func() {
		cancel()
		<-ended
		final.Close()
		if store != nil {
			store.Close()
		}
	}
}

// with is the node's keys, none when its store may not be used.
func (n *simNode) with(store *Store) []Key {
	if store == nil {
		return nil
	}
	return append([]Key{{n.sim.keys[n.i], store}}, n.more...)
}

// learn reads the panels in the log, as a node reads them from its state.
func (n *simNode) learn() error {
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	for i, b := range n.log.leaves {
		if b[0] == 0x84 {
			l, err := spec.ParseLeaf(b)
			if err != nil {
				return err
			}
			if err := n.chain.Grow(l.Panel, uint64(i)+2, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *sim) send(from int, org string, req []byte) ([]byte, error) {
	<-time.After(time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, n := range s.nodes {
		if s.seats[i].Org != org {
			continue
		}
		if s.cut[[2]int{from, i}] || n.Cosigner == nil {
			return nil, errors.New("unreachable")
		}
		return n.Receive(s.seats[from].Org, req)
	}
	return nil, errors.New("unknown")
}

func (s *sim) grow(leaf string) {
	for _, n := range s.nodes {
		n.log.grow(leaf)
	}
}

func (s *sim) stop() {
	for _, n := range s.nodes {
		if n.stop != nil {
			n.stop()
		}
	}
}

func (s *sim) wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// finals checks what is final on each node.
func (s *sim) finals(want ...uint64) {
	s.t.Helper()
	for i, w := range want {
		f := s.nodes[i].final.Newest()
		if f.Size != w {
			s.t.Errorf("node %d: size %d is final, not %d", i, f.Size, w)
		}
		if f.Size > 0 {
			if _, err := s.nodes[i].chain.OpenFinal(f.Note); err != nil {
				s.t.Errorf("node %d: %v", i, err)
			}
		}
	}
}

func simulate(t *testing.T, n int, fn func(s *sim)) {
	simulate0(t, n, func(s *sim) {
		s.start()
		defer s.stop()
		fn(s)
	})
}

// simulate0 leaves starting to the test.
func simulate0(t *testing.T, n int, fn func(s *sim)) {
	synctest.Test(t, func(t *testing.T) { fn(newSim(t, n)) })
}

func TestWhatAllApplyBecomesFinalInMilliseconds(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 7} {
		simulate(t, n, func(s *sim) {
			s.wait(time.Second)
			s.grow("one")
			s.wait(5 * time.Millisecond)
			for i := range s.nodes {
				if got := s.nodes[i].final.Newest().Size; got != 1 {
					t.Errorf("of %d: node %d has %d final after 5 ms", n, i, got)
				}
			}
		})
	}
}

// Under load the leader names a size each 10 ms, and those that apply later
// cosign the same sizes.
func TestLaggingSequencersCosignTheNamedSizes(t *testing.T) {
	simulate(t, 4, func(s *sim) {
		s.wait(time.Second)
		for i := range 50 {
			for _, n := range s.nodes {
				go func() {
					<-time.After(time.Duration(n.i*7) * time.Millisecond)
					n.log.grow(fmt.Sprint("leaf", i))
				}()
			}
			s.wait(3 * time.Millisecond)
		}
		s.wait(50 * time.Millisecond)
		s.finals(50, 50, 50, 50)
	})
}

func TestNothingIsFinalBelowKAndAllIsOnceTheyReturn(t *testing.T) {
	simulate(t, 4, func(s *sim) {
		s.wait(time.Second)
		s.grow("one")
		s.wait(100 * time.Millisecond)
		s.finals(1, 1, 1, 1)
		for _, cut := range [][2]int{{0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 0}, {2, 1}, {3, 0}, {3, 1}} {
			s.cut[cut] = true
		}
		s.grow("two")
		s.wait(20 * time.Second)
		s.finals(1, 1, 1, 1)
		s.mu.Lock()
		s.cut = map[[2]int]bool{}
		s.mu.Unlock()
		s.wait(5 * time.Second)
		s.finals(2, 2, 2, 2)
	})
}

func TestTheNextNamesWhenTheLeaderIsSilent(t *testing.T) {
	simulate(t, 3, func(s *sim) {
		s.wait(time.Second)
		s.nodes[0].stop()
		s.nodes[0].stop = nil
		s.grow("one")
		s.wait(900 * time.Millisecond)
		s.finals(0, 0, 0)
		s.wait(200 * time.Millisecond)
		s.finals(0, 1, 1)
	})
}

// Idle, the log is cosigned again every 15 s, so that readers see that it lives.
func TestCosignTimesGoOnWhileTheLogRests(t *testing.T) {
	simulate(t, 3, func(s *sim) {
		s.wait(time.Second)
		s.grow("one")
		s.wait(time.Second)
		before := s.nodes[2].final.Newest()
		s.wait(5 * time.Minute)
		after := s.nodes[2].final.Newest()
		if after.Size != 1 || after.Root != before.Root {
			t.Fatalf("the final checkpoint changed to size %d", after.Size)
		}
		if age := time.Since(after.Time); age > 20*time.Second {
			t.Fatalf("the newest cosign time is %v old", age)
		}
	})
}

func TestARestartGoesOnFromItsMark(t *testing.T) {
	simulate(t, 3, func(s *sim) {
		s.wait(time.Second)
		s.grow("one")
		s.wait(time.Second)
		n := s.nodes[1]
		n.stop()
		n.start(false)
		if got := n.final.Newest().Size; got != 1 {
			t.Fatalf("after a restart %d is final", got)
		}
		if m := n.store.Mark(); m.Size != 1 {
			t.Fatalf("after a restart the mark is at %d", m.Size)
		}
		s.nodes[2].stop()
		s.nodes[2].stop = nil
		s.grow("two")
		s.wait(5 * time.Second)
		s.finals(2, 2)
		if n.Refused() != nil {
			t.Fatal(n.Refused())
		}
	})
}
