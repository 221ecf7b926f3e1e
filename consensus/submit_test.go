// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tocsin-db/tocsin/spec"
)

func TestRefusedByTheRulesIsAnOutcome(t *testing.T) {
	inCluster(t, 1, nil, func(c *cluster) {
		n := c.leader().node
		got := n.SubmitBatch(c.ctx, []spec.Submission{sub("a"), sub("refuse me"), sub("b")})
		if got[0].Err != nil || got[1].Err != nil || got[2].Err != nil {
			t.Fatalf("results %+v", got)
		}
		if got[0].Outcome.Err() != nil || spec.CodeOf(got[1].Outcome.Err()) != spec.CodeReplayed || got[2].Outcome.Index != 1 {
			t.Errorf("results %+v", got)
		}
	})
}

func TestFollowerNamesTheLeader(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		led := c.leader()
		c.submit("a")
		c.converge(1)
		_, err := c.follower().node.Submit(c.ctx, sub("b"))
		var other *NotLeaderError
		if !errors.As(err, &other) || other.Leader != led.id || spec.CodeOf(err) != spec.CodeNotLeader {
			t.Errorf("a follower answers %v", err)
		}
		if id, ok := c.follower().node.Leader(); !ok || id != led.id {
			t.Errorf("a follower takes %q for the leader", id)
		}
		c.isolate(led.id)
		c.until(5*time.Second, "the old leader to step down", func() bool { return !led.node.IsLeader() })
		if _, err := led.node.Submit(c.ctx, sub("c")); !errors.As(err, &other) || other.Leader != "" {
			t.Errorf("a leader that stepped down answers %v", err)
		}
	})
}

// heldLeader is a single node whose appends wait until release is closed.
type heldLeader struct {
	*member
	release chan struct{}
}

func hold(c *cluster) *heldLeader {
	c.t.Helper()
	h := &heldLeader{member: c.leader(), release: make(chan struct{})}
	c.until(time.Minute, "the first tick", func() bool {
		h.store.mu.Lock()
		defer h.store.mu.Unlock()
		return len(h.store.live.Ticks) > 0 && len(h.node.packer.slots) == 0 // nor is it counted as under way
	})
	h.log.onAppend(func([]*raft.Log) error { <-h.release; return nil })
	return h
}

// entries returns the submissions and the bytes of each command in the log.
func (h *heldLeader) entries(t *testing.T) (subs []int, sizes []int) {
	t.Helper()
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	for i := uint64(1); i <= uint64(len(h.log.logs)); i++ {
		l := h.log.logs[i]
		if l.Type != raft.LogCommand {
			continue
		}
		e, err := spec.ParseRaftEntry(l.Data)
		if err != nil {
			t.Fatal(err)
		}
		subs, sizes = append(subs, len(e.Submissions)), append(sizes, len(l.Data))
	}
	return subs, sizes
}

func TestSubmissionsAreCoalescedWithinBounds(t *testing.T) {
	quiet := func(cfg *Config) {
		once := (&member{}).tickEvery(time.Hour)
		cfg.Tick = func() (*spec.Timed, bool) { return once() }
	}
	inCluster(t, 1, quiet, func(c *cluster) {
		h := hold(c)
		results := make(chan error, 6000)
		for i := range 5 { // two entries of one each, then they gather
			go func() { _, err := h.node.Submit(c.ctx, sub("first-%d", i)); results <- err }()
			synctest.Wait()
		}
		if n := h.node.Status().Queued; n != 3 {
			t.Errorf("%d of 5 are queued while two entries should be under way", n)
		}
		for i := range 4000 { // small ones: bounded by number
			go func() { _, err := h.node.Submit(c.ctx, sub("small-%d", i)); results <- err }()
		}
		for i := range 400 { // large ones: bounded by bytes
			go func() { _, err := h.node.Submit(c.ctx, sub("%04d%s", i, make([]byte, 10<<10))); results <- err }()
		}
		synctest.Wait()
		if n := len(h.node.packer.slots); n != packFull {
			t.Errorf("%d entries are under way while full ones wait", n)
		}
		close(h.release)
		for range 4405 {
			if err := <-results; err != nil {
				t.Fatal(err)
			}
		}
		subs, sizes := h.entries(t)
		for i := range subs {
			if subs[i] > spec.MaxSubmissions || sizes[i] > packBytes+entryOverhead {
				t.Errorf("entry %d has %d submissions in %d bytes", i, subs[i], sizes[i])
			}
		}
		// 4,000 at 1,200 and 400 at 12 each, and the two of the beginning.
		if len(subs) > 45 {
			t.Errorf("4,405 submissions took %d entries", len(subs))
		}
		if n := len(h.store.ops()); n != 4405 {
			t.Errorf("%d operations", n)
		}
	})
}

func TestBatchKeepsItsOrder(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		n := c.leader().node
		var subs []spec.Submission
		for i := range 3000 {
			subs = append(subs, sub("%d", i))
		}
		for i, r := range n.SubmitBatch(c.ctx, subs) {
			if r.Err != nil || r.Outcome.Index != uint64(i) {
				t.Fatalf("submission %d: %+v", i, r)
			}
		}
		for i, op := range c.converge(3000) {
			if op != fmt.Sprint(i) {
				t.Fatalf("operation %d is %s", i, op)
			}
		}
	})
}

func TestSubmissionLargerThanAnEntryIsRefusedAlone(t *testing.T) {
	inCluster(t, 1, nil, func(c *cluster) {
		n := c.leader().node
		fits := spec.Submission{Envelope: make([]byte, 60<<10), Opening: make([]byte, 128<<10)} // above the target
		got := n.SubmitBatch(c.ctx, []spec.Submission{
			sub("a"), {Envelope: []byte("x"), Opening: make([]byte, spec.MaxRaftEntry)}, fits,
		})
		if got[0].Err != nil || got[2].Err != nil || spec.CodeOf(got[1].Err) != spec.CodeTooLarge {
			t.Errorf("errors %v, %v, %v", got[0].Err, got[1].Err, got[2].Err)
		}
	})
}

func TestFullQueueIsBusy(t *testing.T) {
	small := func(cfg *Config) { cfg.MaxQueued, cfg.MaxQueueBytes = 10, 1000 }
	inCluster(t, 1, small, func(c *cluster) {
		h := hold(c)
		var first []spec.Submission
		for i := range 10 {
			first = append(first, sub("%d", i))
		}
		done := make(chan []Result, 3)
		for range packInFlight + 1 { // two entries under way, the third fills the queue
			go func() { done <- h.node.SubmitBatch(c.ctx, first) }()
			synctest.Wait()
		}
		if _, err := h.node.Submit(c.ctx, sub("one more")); spec.CodeOf(err) != spec.CodeBusy {
			t.Errorf("a full queue answers %v", err)
		}
		if s := h.node.Status(); s.Queued != 10 {
			t.Errorf("%d are queued", s.Queued)
		}
		close(h.release)
		for range packInFlight + 1 {
			for _, r := range <-done {
				if r.Err != nil {
					t.Error(r.Err)
				}
			}
		}
		if _, err := h.node.Submit(c.ctx, sub("%s", make([]byte, 1001))); spec.CodeOf(err) != spec.CodeBusy {
			t.Errorf("more bytes than the queue takes: %v", err)
		}
	})
}

func TestGivingUpIsCertainBeforeTheProposalAndUnknownAfter(t *testing.T) {
	inCluster(t, 1, nil, func(c *cluster) {
		h := hold(c)
		ctx, cancel := context.WithCancel(c.ctx)
		under, queued := make(chan error, packInFlight), make(chan error, 1)
		for i := range packInFlight {
			go func() { _, err := h.node.Submit(ctx, sub("under way %d", i)); under <- err }()
			synctest.Wait()
		}
		go func() { _, err := h.node.Submit(ctx, sub("queued")); queued <- err }()
		synctest.Wait()
		cancel()
		for range packInFlight {
			if err := <-under; !errors.Is(err, ErrUnknownOutcome) {
				t.Errorf("under way: %v", err)
			}
		}
		if err := <-queued; !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("queued: %v", err)
		}
		close(h.release)
		c.submit("later")
		if n := len(h.store.ops()); n != packInFlight+1 {
			t.Errorf("operations %q", h.store.ops())
		}
		if _, err := h.node.Submit(ctx, sub("too late")); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that has ended: %v", err)
		}
	})
}

func TestStopRefusesWhatWaitsAndFinishesWhatIsUnderWay(t *testing.T) {
	inCluster(t, 1, nil, func(c *cluster) {
		h := hold(c)
		under, queued := make(chan error, packInFlight), make(chan error, 1)
		for i := range packInFlight {
			go func() { _, err := h.node.Submit(c.ctx, sub("under way %d", i)); under <- err }()
			synctest.Wait()
		}
		go func() { _, err := h.node.Submit(c.ctx, sub("queued")); queued <- err }()
		synctest.Wait()
		stopped := make(chan struct{})
		go func() { c.stop(h.id); close(stopped) }()
		if err := <-queued; !errors.Is(err, ErrStopped) {
			t.Errorf("queued: %v", err)
		}
		close(h.release)
		for range packInFlight {
			if err := <-under; err != nil {
				t.Errorf("under way: %v", err)
			}
		}
		<-stopped
	})
}

func TestWaitAppliedAndBarrier(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		low := c.follower()
		led := c.leader()
		release := make(chan struct{})
		low.store.mu.Lock()
		low.store.before = func(Applied) error { <-release; return nil }
		low.store.mu.Unlock()
		c.submit("a")
		index, err := led.node.Barrier(c.ctx)
		if err != nil || index < 3 {
			t.Fatalf("barrier at %d, %v", index, err)
		}
		ctx, cancel := context.WithTimeout(c.ctx, time.Second)
		defer cancel()
		if err := low.node.WaitApplied(ctx, index); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for a member that hangs: %v", err)
		}
		close(release)
		if err := low.node.WaitApplied(c.ctx, index); err != nil || len(low.store.ops()) != 1 {
			t.Errorf("%v with %d operations", err, len(low.store.ops()))
		}
		if _, err := low.node.Barrier(c.ctx); spec.CodeOf(err) != spec.CodeNotLeader {
			t.Errorf("a barrier on a follower: %v", err)
		}
	})
}

// Not in a bubble: raft leaves a goroutine of ours waiting for what it never
// began.
func TestStopOverAHungLogLeavesNoCallerWaiting(t *testing.T) {
	log, store := newMemLog(), newMemStore()
	_, trans := raft.NewInmemTransport("a")
	n, err := Start(Config{
		ID: "a", Dir: t.TempDir(), Voters: []string{"a"}, Tick: (&member{}).tickEvery(time.Hour), Fatal: func(err error) { t.Error(err) },
		OpenLog: func(string) (LogBackend, error) { return log, nil },
	}, store, trans)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, ctx: t.Context(), members: map[string]*member{"a": {id: "a", store: store, log: log, node: n}}}
	h := hold(c)
	results := make(chan error, packInFlight+1)
	for i := range packInFlight + 1 {
		go func() { _, err := n.Submit(context.Background(), sub("%d", i)); results <- err }()
		// The packer is back for the next when it has proposed the last.
		c.until(time.Minute, "the proposal", func() bool {
			return len(n.packer.slots) == min(i+1, packInFlight) && n.packer.queue.len() == max(0, i+1-packInFlight) && len(n.packer.queue.wake) == 0
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("stop: %v", err)
	}
	close(h.release)
	for range packInFlight + 1 {
		select {
		case err := <-results:
			if err != nil && !errors.Is(err, ErrUnknownOutcome) && !errors.Is(err, ErrStopped) {
				t.Errorf("a submission under way: %v", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("a submission never got an answer")
		}
	}
}

// A new leader may not have applied yet what the old one acknowledged.
func TestNewLeaderCatchesUpBeforeItIsAsked(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.fill("warm", 1)
		n := len(c.converge(-1))
		low := c.follower()
		release := make(chan struct{})
		low.store.mu.Lock()
		low.store.before = func(Applied) error { <-release; return nil }
		low.store.mu.Unlock()
		c.submit("acknowledged")
		old := c.leader()
		c.until(15*time.Second, low.id+" to lead", func() bool {
			_ = old.node.raft.LeadershipTransferToServer(raft.ServerID(low.id), raft.ServerAddress(low.id)).Error()
			return low.node.IsLeader()
		})
		ctx, cancel := context.WithTimeout(c.ctx, time.Second)
		defer cancel()
		if _, err := low.node.CaughtUp(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("caught up with an entry still to be applied: %v", err)
		}
		close(release)
		if _, err := low.node.CaughtUp(c.ctx); err != nil || len(low.store.ops()) != n+1 {
			t.Errorf("%v with %d operations, want %d", err, len(low.store.ops()), n+1)
		}
	})
}

// A leader that is cut off says for a while that it leads. What it would refuse
// meanwhile another may have accepted, so it must not be believed.
func TestAnIsolatedLeaderIsNotBelieved(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.submit("a")
		old := c.leader()
		term, err := old.node.CaughtUp(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := old.node.StillLeads(c.ctx, term); err != nil {
			t.Fatalf("the leader of a whole cluster: %v", err)
		}
		c.isolate(old.id)
		if !old.node.IsLeader() {
			t.Fatal("it knows already: the test shows nothing")
		}
		var not *NotLeaderError
		if err := old.node.StillLeads(c.ctx, term); !errors.As(err, &not) {
			t.Fatalf("an isolated leader: %v", err)
		}
		c.connect(old.id)
	})
}

// Followers are told of a commit before the leader has applied it. Whoever saw its
// effects there must not be refused for the leader's being behind.
func TestALeaderIsAskedOnceItHasWhatItsFollowersHave(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		c.submit("first")
		led, low := c.leader(), c.follower()
		term, err := led.node.CaughtUp(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		led.store.mu.Lock()
		led.store.before = func(Applied) error { <-release; return nil }
		led.store.mu.Unlock()
		go led.node.Submit(c.ctx, sub("second"))
		c.until(10*time.Second, "a follower to apply before the leader", func() bool { return len(low.store.ops()) == 2 })
		if n := len(led.store.ops()); n != 1 {
			t.Fatalf("the leader holds %d operations: the test shows nothing", n)
		}
		ctx, cancel := context.WithTimeout(c.ctx, time.Second)
		defer cancel()
		if err := led.node.StillLeads(ctx, term); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("confirmed behind a follower: %v", err)
		}
		close(release)
		if err := led.node.StillLeads(c.ctx, term); err != nil || len(led.store.ops()) != 2 {
			t.Errorf("%v with %d operations", err, len(led.store.ops()))
		}
	})
}
