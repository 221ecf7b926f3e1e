// SPDX-License-Identifier: Apache-2.0

package state

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
)

const (
	streamsPerSource = 2
	ahead            = 2                      // requests on one stream
	stealAfter       = 3 * time.Second        // a piece that is out for so long is asked of another as well
	lookAgain        = 200 * time.Millisecond // for sources that came back
	patience         = 30 * time.Second       // without any source, then the snapshot waits for the next time
)

// A task is one piece of the snapshot.
type task struct {
	rules bool
	index uint32
}

// A flight is a task that was given out.
type flight struct {
	since  time.Time
	owners []p2p.PeerID
}

// A fetch brings all missing pieces of one snapshot from whoever has them. Workers
// take from one list, so that a fast source brings more than a slow one.
type fetch struct {
	job     *federation.Job
	staging Staging
	size    uint64
	total   uint64 // bytes, as the manifest said
	log     *slog.Logger
	keyed   bool // chunks of keys

	stealAfter time.Duration

	mu      sync.Mutex
	changed *sync.Cond
	waiting []task
	flying  map[task]*flight
	left    int
	bytes   uint64
	workers map[p2p.PeerID]int
	barred  map[p2p.PeerID]time.Time // until when a source is not asked
	seen    time.Time                // when a worker was last there
	local   error                    // our own fault
	ended   bool
	wake    chan struct{} // one token
}

func newFetch(job *federation.Job, st Staging, m *Manifest, log *slog.Logger) *fetch {
	f := &fetch{
		job: job, staging: st, size: m.Size, total: m.Bytes, log: log, flying: map[task]*flight{},
		workers: map[p2p.PeerID]int{}, barred: map[p2p.PeerID]time.Time{}, seen: time.Now(),
		wake: make(chan struct{}, 1),
	}
	f.changed = sync.NewCond(&f.mu)
	chunks, rules := st.Missing()
	for _, i := range chunks {
		f.waiting = append(f.waiting, task{false, i})
	}
	for _, i := range rules {
		f.waiting = append(f.waiting, task{true, i})
	}
	f.left = len(f.waiting)
	return f
}

// run returns nil once every piece is verified; UNAVAILABLE when no source could be
// asked for a while, and an error without a code for a fault of our own.
func (f *fetch) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		f.hire(ctx, &wg)
		f.mu.Lock()
		done, err := f.left == 0, f.local
		if err == nil && !done && len(f.workers) == 0 && time.Since(f.seen) > patience {
			err = spec.Errorf(spec.CodeUnavailable, "no upstream serves the rest of the snapshot at %d", f.size)
		}
		if done || err != nil {
			f.ended = true
			f.changed.Broadcast()
			f.mu.Unlock()
			return err
		}
		f.mu.Unlock()
		select {
		case <-f.wake:
		case <-tick.C:
			f.changed.Broadcast() // what is out for long may be taken now
		case <-ctx.Done():
			f.mu.Lock()
			f.ended = true
			f.changed.Broadcast()
			f.mu.Unlock()
			return ctx.Err()
		}
	}
}

// hire gives every source that may be asked its workers.
func (f *fetch) hire(ctx context.Context, wg *sync.WaitGroup) {
	sources := f.job.Sources()
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for _, p := range sources {
		if now.Before(f.barred[p]) {
			continue
		}
		for ; f.workers[p] < streamsPerSource; f.workers[p]++ {
			wg.Go(func() { f.work(ctx, p) })
		}
	}
	if len(f.workers) > 0 {
		f.seen = now
	}
}

// work fetches from one source over one stream until there is nothing left, or the
// source fails.
func (f *fetch) work(ctx context.Context, p p2p.PeerID) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &worker{fetch: f, peer: p}
	err := w.run(ctx)
	if f.settle(w, err, ctx.Err() != nil) {
		f.log.Debug("a source of the snapshot failed", "peer", string(p), "error", err)
		f.job.Blame(p, err)
	}
}

// settle takes back what a worker did not finish, and reports whether its source is
// to be charged for err.
func (f *fetch) settle(w *worker, err error, cancelled bool) (charged bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range w.asked {
		f.giveBack(t, w.peer)
	}
	if f.workers[w.peer]--; f.workers[w.peer] == 0 {
		delete(f.workers, w.peer)
	}
	f.changed.Broadcast()
	f.wakeUp()
	if err == nil || f.ended || f.local != nil || cancelled {
		return false
	}
	pause := time.Second
	if hasNone(err) {
		pause = patience
	}
	f.barred[w.peer] = time.Now().Add(pause)
	return !hasNone(err)
}

// wakeUp has run look again.
func (f *fetch) wakeUp() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take gives out a task, waiting for one unless it is told not to; false: there is
// none.
func (f *fetch) take(p p2p.PeerID, wait bool) (task, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.ended && f.left > 0 {
		if len(f.waiting) > 0 {
			t := f.waiting[0]
			f.waiting = f.waiting[1:]
			f.flying[t] = &flight{time.Now(), []p2p.PeerID{p}}
			return t, true
		}
		if !wait {
			return task{}, false
		}
		if t, ok := f.steal(p); ok {
			return t, true
		}
		f.changed.Wait()
	}
	return task{}, false
}

// steal finds the task that another source has had for longest, if too long.
func (f *fetch) steal(p p2p.PeerID) (best task, ok bool) {
	now := time.Now()
	since := now.Add(-f.stealAfter)
	for t, fl := range f.flying {
		if fl.since.Before(since) && !slices.Contains(fl.owners, p) {
			best, since, ok = t, fl.since, true
		}
	}
	if ok {
		fl := f.flying[best]
		fl.owners, fl.since = append(fl.owners, p), now
	}
	return best, ok
}

// giveBack returns a task that a worker did not finish.
func (f *fetch) giveBack(t task, p p2p.PeerID) {
	fl := f.flying[t]
	if fl == nil {
		return
	}
	if i := slices.Index(fl.owners, p); i >= 0 {
		fl.owners = slices.Delete(fl.owners, i, i+1)
	}
	if len(fl.owners) == 0 {
		delete(f.flying, t)
		f.waiting = append([]task{t}, f.waiting...)
	}
}

// finish notes a piece that was verified.
func (f *fetch) finish(t task, n int) {
	f.mu.Lock()
	if _, open := f.flying[t]; open {
		delete(f.flying, t)
		f.left--
		f.bytes += uint64(n)
	}
	done, total := f.bytes, max(f.bytes, f.total)
	if f.left == 0 {
		f.changed.Broadcast()
		f.wakeUp()
	}
	f.mu.Unlock()
	if f.job.Progress != nil {
		f.job.Progress(done, total)
	}
}

// A worker is one stream to one source.
type worker struct {
	*fetch
	peer  p2p.PeerID
	asked []task // in the order in which they will be answered
}

func (w *worker) run(ctx context.Context) error {
	c, err := Dial(ctx, w.job.Dialer, w.peer)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		for len(w.asked) < ahead {
			t, ok := w.take(w.peer, len(w.asked) == 0)
			if !ok {
				break
			}
			w.asked = append(w.asked, t)
			kind := byte(kindChunk)
			if w.keyed {
				kind = kindKeys
			}
			if t.rules {
				kind = kindRules
			}
			if err := c.send(kind, &chunkRequest{Size: w.size, Index: uint64(t.index)}); err != nil {
				return err
			}
		}
		if len(w.asked) == 0 {
			return nil
		}
		data, err := c.receive(MaxChunk)
		if err != nil {
			return err
		}
		if err := w.verify(w.asked[0], data); err != nil {
			return err
		}
		w.asked = w.asked[1:]
	}
}

// verify hands a piece to the staging, which believes nothing of it.
func (w *worker) verify(t task, data []byte) error {
	put := w.staging.Chunk
	if t.rules {
		put = w.staging.Rules
	}
	err := put(t.index, data)
	if err == nil {
		w.finish(t, len(data))
		return nil
	}
	if spec.CodeOf(err) == "" {
		w.mu.Lock()
		w.local = errors.Join(w.local, err)
		w.mu.Unlock()
	}
	return err
}
