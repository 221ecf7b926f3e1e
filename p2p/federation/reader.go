// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
)

// Times of a reader, from spec/sync.md.
const (
	StaleAfter   = 60 * time.Second // age of what is final from which on the reader is STALE
	headWait     = 3 * time.Second  // for a second head
	graftAfter   = 200 * time.Millisecond
	lagAfter     = time.Second
	promise      = 5 * time.Second // from a graft to the first delivery
	ackEvery     = 10 * time.Second
	rotateAfter  = 45 * time.Second // age of an upstream's checkpoint
	settled      = 10 * time.Second // before an upstream's age is held against it
	groupTimeout = 5 * time.Minute  // from the first part of a group to its last
	stallTimeout = 60 * time.Second // without a part while its head is ahead
)

// Sizes of a reader.
const (
	upstreams   = 3       // streams at once
	credit      = 4 << 20 // bytes that an eager upstream may be ahead of us
	maxDoubts   = 16      // final checkpoints that are remembered until the log reaches them
	maxReferees = 16      // upstreams that others named
)

// A Dialer is where a reader opens streams; a *p2p.Host is one.
type Dialer interface {
	OpenStream(ctx context.Context, to p2p.PeerID, proto string) (*p2p.Stream, error)
}

// ReaderConfig is what a reader needs. Dialer, Panel, Replica and Marks are
// required. Callbacks must not block and must not call the reader.
type ReaderConfig struct {
	Dialer    Dialer
	Panel     Panel
	Replica   Replica
	Marks     Marks
	Bootstrap Bootstrapper // nil: the log is always replayed
	Full      bool         // replay it all, even so
	Addresses []string     // at which this node serves others

	OnFinal func(Final)                            // the newest final checkpoint whose log is shown, or will be in a moment
	OnFork  func(Fork)                             // the reader halts
	OnState func(from, to State)                   // for logs and metrics
	Refer   func(from p2p.PeerID, r Referral) bool // whether to follow a peer that was named; nil: never
	Now     func() time.Time
	Logger  *slog.Logger
}

// A Reader keeps a Replica up to date from several upstreams, none of which it
// believes.
type Reader struct {
	cfg  ReaderConfig
	wake chan struct{} // one token: look again
	size atomic.Uint64 // of what is shown

	apply sync.Mutex // guards the ledger; held while groups are replayed
	ledger

	opening sync.Mutex // held while a note is verified; before mu

	mu       sync.Mutex
	m        machine
	since    time.Time // of the state
	ups      []*upstream
	links    map[p2p.PeerID]*link
	target   *Final    // largest that was seen
	ahead    time.Time // since when it is, zero: it is not
	visible  *Final    // newest whose log is shown
	doubts   []*Final
	opened   *Final    // newest whose note was verified
	heeded   uint64    // number of the newest panel that was known at the last step
	busy     bool      // a task runs
	barren   int       // how often in a row no snapshot was to be had
	retry    time.Time // until when none is asked for
	seized   bool      // by a bootstrap, which alone changes the replica meanwhile
	stop     context.CancelFunc
	failure  error // our own fault
	lastErr  string
	failedAt time.Time // when lastErr came
	done     uint64    // bytes of a snapshot
	of       uint64
	running  sync.WaitGroup
}

// NewReader makes a reader; Run starts it.
func NewReader(cfg ReaderConfig) *Reader {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	r := &Reader{cfg: cfg, wake: make(chan struct{}, 1), links: map[p2p.PeerID]*link{}}
	r.ledger = ledger{replica: cfg.Replica, panel: cfg.Panel, marks: cfg.Marks, reach: r.tell}
	r.since = cfg.Now()
	r.size.Store(cfg.Replica.Size())
	return r
}

// Run follows until ctx ends, and then returns its error, or until the replica or
// the marks fail: a fault that the node must not survive silently. In HALT it
// stays, and takes nothing.
func (r *Reader) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer r.running.Wait()
	defer cancel()
	if err := r.begin(); err != nil {
		return err
	}
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for ctx.Err() == nil {
		wait, err := r.step(ctx)
		if err != nil {
			return err
		}
		alarm.Reset(max(wait, 0))
		select {
		case <-ctx.Done():
		case <-alarm.C:
		case <-r.wake:
		}
	}
	return ctx.Err()
}

// begin is ANCHOR.
func (r *Reader) begin() error {
	r.apply.Lock()
	err := r.anchor()
	r.apply.Unlock()
	if err != nil {
		return err
	}
	m := r.marks.Mark()
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.Fork != nil {
		r.on(forked)
		return nil
	}
	if len(m.Note) > 0 {
		if f, err := r.open(m.Note); err != nil {
			r.cfg.Logger.Warn("the panel does not know the mark's checkpoint", "error", err)
		} else if f.Size <= r.edge.Size {
			r.target, r.visible = f, f
		} else {
			r.target = f
		}
	}
	r.on(anchored)
	return nil
}

// on feeds the machine. Caller holds mu.
func (r *Reader) on(e event) {
	from := r.m.now()
	if !r.m.on(e) {
		return
	}
	r.since = r.cfg.Now()
	if r.stop != nil && from != Range && from != Lag { // what is pulled stays good
		r.stop()
	}
	r.cfg.Logger.Info("reader", "from", string(from), "to", string(r.m.now()), "event", string(e), "size", r.size.Load())
	if r.cfg.OnState != nil {
		r.cfg.OnState(from, r.m.now())
	}
	r.poke()
}

func (r *Reader) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// failed keeps why a stream or a task ended. Caller holds mu.
func (r *Reader) failed(err error) { r.lastErr, r.failedAt = err.Error(), r.cfg.Now() }

// fail ends the reader.
func (r *Reader) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure == nil {
		r.failure = err
	}
	r.poke()
}

// step looks at everything once and says when to look again at the latest.
func (r *Reader) step(ctx context.Context) (time.Duration, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil {
		return 0, r.failure
	}
	if r.m.now() == Halt {
		r.hangUp()
		return time.Hour, nil
	}
	now := r.cfg.Now()
	r.heedPanel()
	r.makeRoom(now)
	wait := r.dial(ctx, now)
	wait = min(wait, r.aging(now))
	switch r.m.now() {
	case Heading, Stale:
		wait = min(wait, r.decide(now))
	case Snapshot:
		r.task(ctx, r.snapshot)
	case Range:
		r.pullAll(ctx)
		wait = min(wait, refusalPause.min)
	case Verify:
		r.task(ctx, r.verify)
	case Live, Lag:
		wait = min(wait, r.watch(ctx, now))
	}
	return wait, nil
}

// aging notes when what is final grows old, and gives other upstreams a turn.
func (r *Reader) aging(now time.Time) time.Duration {
	if r.visible == nil {
		return time.Minute
	}
	age := now.Sub(r.visible.Time)
	if age <= StaleAfter {
		r.on(fresh)
		if age > rotateAfter {
			r.rotate(now)
		}
		return StaleAfter - age + time.Millisecond
	}
	r.on(aged)
	r.rotate(now)
	return settled
}

// rotate leaves an upstream whose checkpoint is old while another waits.
func (r *Reader) rotate(now time.Time) {
	if u, _ := r.free(now); u == nil {
		return
	}
	for _, l := range r.links {
		if l.final != nil && now.Sub(l.final.Time) > rotateAfter && now.Sub(l.opened) > settled {
			l.hangUp(errOld)
			return
		}
	}
}

var errOld = errors.New("its newest final checkpoint is old: others get a turn")

// decide leaves HEAD once enough upstreams said what is final.
func (r *Reader) decide(now time.Time) time.Duration {
	headed := r.headed()
	if headed == 0 {
		return time.Minute
	}
	if left := headWait - now.Sub(r.since); headed < min(2, r.followable()) && left > 0 {
		return left
	}
	size := r.size.Load()
	switch _, ahead, _ := r.source(); {
	case !ahead:
		r.on(level)
	case r.target != nil && r.snapshots() && r.cfg.Bootstrap.Wanted(size, r.target.Size):
		r.on(far)
	default:
		r.on(behind)
	}
	return time.Minute
}

// watch keeps a LIVE or LAGging reader supplied.
func (r *Reader) watch(ctx context.Context, now time.Time) time.Duration {
	size := r.size.Load()
	wait := r.supply(now, size)
	if r.target == nil || r.target.Size <= size {
		r.ahead = time.Time{}
		r.on(level)
		return wait
	}
	if r.ahead.IsZero() {
		r.ahead = now
	}
	if left := lagAfter - now.Sub(r.ahead); left > 0 {
		return min(wait, left)
	}
	r.on(late)
	if r.m.now() == Lag && !r.pushing(now) {
		r.pullMore(ctx)
	}
	return min(wait, lagAfter)
}

// pushing reports whether an upstream delivers by itself.
func (r *Reader) pushing(now time.Time) bool {
	for _, l := range r.links {
		if l.eager && now.Sub(l.delivered) < lagAfter {
			return true
		}
	}
	return false
}

// task runs fn in the background unless a task runs already.
func (r *Reader) task(ctx context.Context, fn func(context.Context) (event, error)) {
	if r.busy {
		return
	}
	ctx, r.stop = context.WithCancel(ctx)
	stop := r.stop
	r.busy = true
	state := r.m.now()
	r.running.Go(func() {
		e, err := fn(ctx)
		stop()
		var local *localError
		if errors.As(err, &local) {
			r.fail(local.err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.busy = false
		if err != nil {
			r.failed(err)
		}
		if e != "" && r.m.now() == state {
			r.on(e)
		}
		r.poke()
	})
}
