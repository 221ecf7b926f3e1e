// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tocsin-db/tocsin/spec"
)

func TestAcknowledgedOperationsSurviveCrashesOnce(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inCluster(t, 3, nil, func(c *cluster) { crashSchedule(c, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

// crashSchedule crashes members while operations go on, now and then all at
// once, and checks that what was acknowledged is there exactly once, and what
// was not at most once. Each operation is submitted once only.
func crashSchedule(c *cluster, rng *rand.Rand) {
	var acked, sent []string
	for round := range 12 {
		for i := range 5 + rng.IntN(10) {
			op := fmt.Sprintf("op-%d-%d", round, i)
			ctx, cancel := context.WithTimeout(c.ctx, 3*time.Second)
			_, err := c.leader().node.Submit(ctx, sub("%s", op))
			cancel()
			sent = append(sent, op)
			if err == nil {
				acked = append(acked, op)
			}
		}
		victims := c.voters
		if rng.IntN(4) > 0 {
			victims = []string{c.voters[rng.IntN(3)]}
		}
		if rng.IntN(3) == 0 { // compaction makes durability matter
			ctx, cancel := context.WithTimeout(c.ctx, time.Second)
			_ = c.leader().node.Erase(ctx)
			cancel()
		}
		for _, id := range victims {
			c.crash(id)
		}
		for _, id := range victims {
			c.start(id)
		}
	}
	all := c.settle()
	for _, op := range sent {
		n := 0
		for _, o := range all {
			if o == op {
				n++
			}
		}
		if n > 1 || (n == 0 && slices.Contains(acked, op)) {
			c.t.Errorf("%s is there %d times (acknowledged: %v)", op, n, slices.Contains(acked, op))
		}
	}
	if len(acked) < len(sent)/2 {
		c.t.Errorf("only %d of %d operations were acknowledged", len(acked), len(sent))
	}
}

func TestCleanStopHandsOnLeadershipAndReappliesNothing(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.fill("op", 30)
		c.converge(30)
		led := c.leader()
		begun := time.Now()
		c.stop(led.id)
		c.submit("after")
		if gap := time.Since(begun); gap > time.Second/2 { // below the election timeout
			t.Errorf("no write for %v", gap)
		}
		led.store, led.log = led.store.crashed(), led.log.crashed()
		if n := len(led.store.ops()); n != 30 {
			t.Errorf("%d of 30 operations were durable after Stop", n)
		}
		led.store.groups = 0
		c.start(led.id)
		c.converge(31)
		if n := led.store.applied(); n != 1 { // the one entry that it missed
			t.Errorf("%d groups were applied after the restart", n)
		}
	})
}

func TestLaggingFollowerCatchesUpBySnapshot(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.fill("before", 5)
		c.converge(5)
		low := c.follower()
		c.stop(low.id)
		c.fill("missed", 50)
		for _, m := range c.members {
			if m.node != nil {
				if err := m.node.Erase(c.ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		if first, _ := c.leader().log.FirstIndex(); first != 0 && first < 50 {
			t.Fatalf("the leader's log still begins at %d", first)
		}
		low.store.groups = 0
		c.start(low.id)
		c.fill("later", 3)
		c.converge(58)
		if n := low.store.applied(); n > 6 {
			t.Errorf("it applied %d groups: that was no snapshot", n)
		}
		if n := parts(t, low.dir); n != 0 {
			t.Errorf("%d files stay behind", n)
		}
		// The node that was installed restarts from what it holds.
		c.crash(low.id)
		c.start(low.id)
		c.submit("last")
		c.converge(59)
	})
}

func TestFailedImportIsTriedAgain(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		low := c.follower()
		c.stop(low.id)
		c.fill("missed", 20)
		for _, m := range c.members {
			if m.node != nil {
				if err := m.node.Erase(c.ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		low.store.importErr = errors.New("bad frame")
		c.start(low.id)
		c.submit("one")
		c.until(10*time.Second, "a received snapshot", func() bool { return low.node.Status().Contact >= 0 })
		low.store.mu.Lock()
		low.store.importErr = nil
		low.store.mu.Unlock()
		c.converge(21)
		if n := parts(t, low.dir); n != 0 {
			t.Errorf("%d files stay behind", n)
		}
	})
}

func TestLeaderWithAHungLogIsReplaced(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.submit("first")
		led := c.leader()
		release := make(chan struct{})
		led.log.onAppend(func([]*raft.Log) error { <-release; return nil })
		begun := time.Now()
		ctx, cancel := context.WithTimeout(c.ctx, 30*time.Second)
		defer cancel()
		lost := make(chan error, 1)
		go func() { _, err := led.node.Submit(ctx, sub("lost")); lost <- err }()
		c.until(3*time.Second, "the append to count as stuck", func() bool { return led.node.StuckFor() > 2*time.Second })
		if led.node.IsLeader() {
			t.Error("a leader with a stuck log still says that it leads")
		}
		c.submit("second")
		took := time.Since(begun)
		t.Logf("hung log of the leader: the next write was acknowledged after %v (raft's timers; no time is spent on computing)", took)
		if took > 6*time.Second {
			t.Errorf("the next write took %v", took)
		}
		close(release)
		hung := <-lost
		if hung != nil && (!errors.Is(hung, ErrUnknownOutcome) || spec.CodeOf(hung) != spec.CodeUnknown) {
			t.Errorf("the submission on the hung leader: %v", hung)
		}
		led.log.onAppend(nil)
		c.submit("third")
		all := c.settle()
		if !slices.Contains(all, "second") || !slices.Contains(all, "third") || hung == nil && !slices.Contains(all, "lost") {
			t.Errorf("operations %q", all)
		}
		if f := led.fatal.Load(); f != nil {
			t.Errorf("the hung member stopped: %v", f)
		}
	})
}

func TestFailedAppendStopsTheNodeAndARestartRejoins(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.submit("first")
		low := c.follower()
		low.log.onAppend(func([]*raft.Log) error { return errors.New("input/output error") })
		c.submit("second")
		c.faultOf(low, ExitIO)
		c.kill(low.id)
		low.log.onAppend(nil)
		c.start(low.id)
		begun := time.Now()
		c.converge(2)
		took := time.Since(begun)
		t.Logf("failed append of a follower: it had caught up %v after its start (raft's timers; no time is spent on computing)", took)
		if took > 5*time.Second {
			t.Errorf("it took %v to catch up", took)
		}
	})
}

func TestFailedVoteStopsTheNode(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.submit("first")
		low := c.follower()
		low.log.mu.Lock()
		low.log.setErr = errors.New("input/output error")
		low.log.mu.Unlock()
		for low.fatal.Load() == nil { // every election asks for its vote
			c.stop(c.leader().id)
			for id, m := range c.members {
				if m.node == nil {
					c.start(id)
				}
			}
			c.submit("again")
		}
		c.faultOf(low, ExitIO)
	})
}

func TestFailedGroupStopsTheLeaderAndNothingIsAcknowledged(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.submit("first")
		led := c.leader()
		led.store.mu.Lock()
		led.store.before = func(Applied) error { return errors.New("no space left on device") }
		led.store.mu.Unlock()
		_, err := led.node.Submit(c.ctx, sub("second"))
		if !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("the submission during the fault: %v", err)
		}
		if _, err := led.node.Submit(c.ctx, sub("third")); spec.CodeOf(err) != spec.CodeUnavailable {
			t.Errorf("a submission after the fault: %v", err)
		}
		c.faultOf(led, ExitIO)
		c.kill(led.id)
		c.submit("fourth")
		led.store.before = nil
		c.start(led.id)
		if all := c.settle(); !slices.Contains(all, "fourth") || slices.Contains(all, "third") {
			t.Errorf("operations %q", all)
		}
	})
}

func TestHungApplyMovesLeadershipAndThenStopsTheNode(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.submit("first")
		led := c.leader()
		release := make(chan struct{})
		led.store.mu.Lock()
		led.store.before = func(Applied) error { <-release; return nil }
		led.store.mu.Unlock()
		begun := time.Now()
		late := make(chan error, 1)
		go func() { _, err := led.node.Submit(c.ctx, sub("second")); late <- err }()
		c.until(9*time.Second, "another leader", func() bool { return c.leader() != led })
		c.submit("third")
		if took := time.Since(begun); took > 9*time.Second {
			t.Errorf("the next write took %v", took)
		}
		c.faultOf(led, ExitStuck)
		if err := <-late; !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("the submission that hung: %v", err)
		}
		close(release)
	})
}

// The heaviest groups take long on a machine that is busy: a node that gets on with one
// is not taken for hung. When it no longer does, it is.
func TestSlowApplyIsNotTakenForHung(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.submit("first")
		led := c.leader()
		release := make(chan struct{})
		steps := func(s *memStore) {
			for range 12 {
				<-time.After(time.Second)
				s.worked.Add(1)
			}
		}
		for _, m := range c.members {
			m.store.mu.Lock()
			var once sync.Once
			m.store.before = func(Applied) error { once.Do(func() { steps(m.store) }); return nil }
			m.store.mu.Unlock()
		}
		begun := time.Now()
		c.submit("slow")
		if took := time.Since(begun); took < 12*time.Second || c.leader() != led {
			t.Errorf("it took %v, and %s leads instead of %s", took, c.leader().id, led.id)
		}
		led.store.mu.Lock()
		led.store.before = func(Applied) error { steps(led.store); <-release; return nil }
		led.store.mu.Unlock()
		late := make(chan error, 1)
		go func() { _, err := led.node.Submit(c.ctx, sub("hung")); late <- err }()
		c.faultOf(led, ExitStuck)
		if err := <-late; !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("the submission that hung: %v", err)
		}
		close(release)
	})
}

func TestBitRotInTheLogStopsTheNode(t *testing.T) {
	flip := func(m *member, index uint64) {
		m.log.mu.Lock()
		defer m.log.mu.Unlock()
		e := m.log.logs[index]
		e.Data = slices.Clone(e.Data)
		e.Data[len(e.Data)/2] ^= 0x10
		m.log.logs[index] = e
	}
	t.Run("at the start", func(t *testing.T) {
		inCluster(t, 3, nil, func(c *cluster) {
			c.fill("op", 10)
			low := c.follower()
			c.converge(10)
			c.crash(low.id) // its database is empty again: the log is replayed
			flip(low, 6)
			var f *Fault
			if err := c.try(low.id); !errors.As(err, &f) || f.Exit != ExitCorrupt || spec.CodeOf(err) != spec.CodeCorrupt {
				t.Fatalf("start on a damaged log: %v", err)
			}
		})
	})
	t.Run("while sending to a follower", func(t *testing.T) {
		inCluster(t, 3, nil, func(c *cluster) {
			low := c.follower()
			c.kill(low.id)
			c.fill("op", 300) // beyond the cache
			led := c.leader()
			flip(led, 40)
			c.start(low.id)
			c.faultOf(led, ExitCorrupt)
			c.kill(led.id)
			c.submit("later")
			c.converge(301)
		})
	})
	t.Run("in a scrub", func(t *testing.T) {
		inCluster(t, 1, nil, func(c *cluster) {
			c.fill("op", 300)
			m := c.leader()
			if err := m.node.Scrub(); err != nil {
				t.Fatal(err)
			}
			flip(m, 40)
			if err := m.node.Scrub(); spec.CodeOf(err) != spec.CodeCorrupt {
				t.Errorf("scrub: %v", err)
			}
			c.faultOf(m, ExitCorrupt)
		})
	})
	t.Run("an entry that is gone", func(t *testing.T) {
		inCluster(t, 1, nil, func(c *cluster) {
			c.fill("op", 10)
			m := c.leader()
			m.log.mu.Lock()
			delete(m.log.logs, 6)
			m.log.mu.Unlock()
			if err := m.node.Scrub(); spec.CodeOf(err) != spec.CodeCorrupt {
				t.Errorf("scrub: %v", err)
			}
		})
	})
	t.Run("in the vote", func(t *testing.T) {
		inCluster(t, 1, nil, func(c *cluster) {
			c.fill("op", 1)
			m := c.leader()
			c.stop(m.id)
			m.log.vals[string(keyTerm)][6] ^= 1 // 256 terms more
			if err := c.try(m.id); spec.CodeOf(err) != spec.CodeCorrupt {
				t.Errorf("start: %v", err)
			}
		})
	})
}
