// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// How long an upstream may keep us waiting although every frame comes in time.
const (
	groupTimeout = 5 * time.Minute  // from the first part of a group to its last
	stallTimeout = 60 * time.Second // without a part while its head says that there is more
)

// errOffence marks what a sender must not do.
var errOffence = errors.New("upstream at fault")

// A Dialer is where a follower opens streams; a *p2p.Host is one.
type Dialer interface {
	OpenStream(ctx context.Context, to p2p.PeerID, proto string) (*p2p.Stream, error)
}

// FollowOptions are what a follower needs beside its Sink. All may be left out.
type FollowOptions struct {
	// OnHead is shown each head as it comes. An error with a code is the
	// sender's fault and costs it the stream; any other ends the follower.
	OnHead func(from p2p.PeerID, h Head) error
	// OnStatus is told when State or Upstream changes. It must not block.
	OnStatus func(Status)
	Now      func() time.Time
	Logger   *slog.Logger
}

// A Follower keeps a Sink up to date from one upstream at a time.
type Follower struct {
	dialer Dialer
	sink   Sink
	opts   FollowOptions
	named  chan struct{} // one token: the upstreams changed

	mu     sync.Mutex
	ups    []*upstream
	status Status
}

// NewFollower makes a follower; Run starts it.
func NewFollower(d Dialer, upstreams []p2p.PeerID, sink Sink, opts FollowOptions) *Follower {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	f := &Follower{dialer: d, sink: sink, opts: opts, named: make(chan struct{}, 1)}
	f.status = Status{State: Disconnected, Size: sink.Size()}
	f.SetUpstreams(upstreams)
	return f
}

// Follow runs a follower until ctx ends or the sink fails by itself.
func Follow(ctx context.Context, d Dialer, upstreams []p2p.PeerID, sink Sink, opts FollowOptions) error {
	return NewFollower(d, upstreams, sink, opts).Run(ctx)
}

// SetUpstreams names the peers to follow, the preferred first. What is held
// against those that stay is kept; a stream that is open goes on.
func (f *Follower) SetUpstreams(ids []p2p.PeerID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := map[p2p.PeerID]*upstream{}
	for _, u := range f.ups {
		known[u.id] = u
	}
	f.ups = nil
	for _, id := range ids {
		u := known[id]
		if u == nil {
			u = &upstream{id: id}
			known[id] = u
		} else if contains(f.ups, u) {
			continue
		}
		f.ups = append(f.ups, u)
	}
	select {
	case f.named <- struct{}{}:
	default:
	}
}

func contains(ups []*upstream, u *upstream) bool {
	for _, x := range ups {
		if x == u {
			return true
		}
	}
	return false
}

// Status tells how the follower stands now.
func (f *Follower) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	st := f.status
	st.Size = f.sink.Size()
	return st
}

// Run follows until ctx ends, and then returns its error, or until the sink (or
// OnHead) fails by itself: a fault that the node must not survive silently.
func (f *Follower) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		u, wait := f.next()
		if u == nil {
			f.pause(ctx, wait)
			continue
		}
		err := f.follow(ctx, u)
		var local *localError
		if errors.As(err, &local) {
			return local.err
		}
		f.left(ctx, u, err)
	}
	return ctx.Err()
}

func (f *Follower) next() (*upstream, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return choose(f.ups, f.opts.Now())
}

func (f *Follower) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-f.named:
	}
}

// left records why the stream to u ended.
func (f *Follower) left(ctx context.Context, u *upstream, err error) {
	if ctx.Err() == nil {
		f.opts.Logger.Warn("upstream lost", "peer", string(u.id), "offence", errors.Is(err, errOffence), "error", err)
	}
	f.update(func(st *Status) {
		u.failed(f.opts.Now(), err)
		st.State, st.Upstream, st.LastError = Disconnected, "", err.Error()
	})
}

// update changes the status and reports it when it looks different from outside.
func (f *Follower) update(change func(*Status)) {
	f.mu.Lock()
	before := f.status
	change(&f.status)
	f.status.Size = f.sink.Size()
	if f.status.Upstream != "" {
		f.status.settle()
	}
	after := f.status
	f.mu.Unlock()
	changed := before.State != after.State || before.Upstream != after.Upstream
	if changed && f.opts.OnStatus != nil {
		f.opts.OnStatus(after)
	}
}

// localError is a fault of our own.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// blame sorts the error of a callback: with a code it is the sender's fault.
func blame(err error) error {
	if err == nil {
		return nil
	}
	if spec.CodeOf(err) != "" {
		return fmt.Errorf("%w: %w", errOffence, err)
	}
	return &localError{err}
}
