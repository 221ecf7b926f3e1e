// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// Keepalive is how often a server sends a Head when nothing else happens.
const Keepalive = 5 * time.Second

// Defaults of ServeOptions.
const (
	DefaultPushed      = 64
	DefaultSubscribers = 512
	DefaultBulkRate    = 8 << 20 // bytes a second
	bulkBurst          = 1 << 20 // bytes at once
)

// MaxStreams is how many streams of each protocol one peer may have open: a second
// while the first is found dead.
const MaxStreams = 2

// readBatch is how many bytes of groups a server asks its Source for at once,
// and so about what one stream holds in memory.
const readBatch = 1 << 20

// busyRetry is when a subscriber that found no room may ask again.
const busyRetry = 2 * time.Second

// A Listener is where a server takes streams from; a *p2p.Host is one.
type Listener interface {
	HandleStream(proto string, policy p2p.Policy, fn p2p.StreamHandler)
}

// ServeOptions are what a server needs beside its Source.
type ServeOptions struct {
	Roles       []string         // that may subscribe; empty: nobody
	Pushed      int              // streams that are pushed to at most; 0: DefaultPushed
	Subscribers int              // subscriptions at most; 0: DefaultSubscribers
	BulkRate    int              // bytes a second over all bulk streams; 0: DefaultBulkRate
	Bulk        Pacer            // shared with other bulk protocols; nil: one of BulkRate
	Now         func() time.Time // nil: time.Now
	Logger      *slog.Logger     // nil: slog.Default()
}

// A Server serves one log to subscribers. It keeps a cursor for each and never a
// queue: a slow one is served later, or announced to only.
type Server struct {
	src  Source
	opts ServeOptions
	bulk Pacer

	mu      sync.Mutex
	subs    map[*session]struct{}
	pushed  int
	tidings *tidings // nil while there are no subscribers
}

// A Pacer says when n more bytes may be sent in bulk. A *rate.Limiter is one.
type Pacer interface {
	WaitN(ctx context.Context, n int) error
}

// Bulk makes the limiter of ServeOptions.Bulk: bytesPerSecond (0: DefaultBulkRate),
// at most 1 MiB at once.
func Bulk(bytesPerSecond int) *rate.Limiter {
	if bytesPerSecond <= 0 {
		bytesPerSecond = DefaultBulkRate
	}
	return rate.NewLimiter(rate.Limit(bytesPerSecond), bulkBurst)
}

// Serve lets peers of the given roles follow src over Protocol and RangeProtocol.
func Serve(l Listener, src Source, opts ServeOptions) *Server {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Pushed <= 0 {
		opts.Pushed = DefaultPushed
	}
	if opts.Subscribers <= 0 {
		opts.Subscribers = DefaultSubscribers
	}
	if opts.Bulk == nil {
		opts.Bulk = Bulk(opts.BulkRate)
	}
	sv := &Server{src: src, opts: opts, bulk: opts.Bulk, subs: map[*session]struct{}{}}
	policy := p2p.Policy{Roles: opts.Roles, MaxRequest: maxControl, MaxStreams: MaxStreams}
	l.HandleStream(Protocol, policy, sv.subscribe)
	l.HandleStream(RangeProtocol, policy, sv.ranges)
	return sv
}

// Subscribers tells how many subscriptions there are and how many are pushed to.
func (sv *Server) Subscribers() (all, pushed int) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	return len(sv.subs), sv.pushed
}

// Limits tells how many subscriptions there may be and how many may be pushed to.
func (sv *Server) Limits() (all, pushed int) { return sv.opts.Subscribers, sv.opts.Pushed }

// enter gives s a place among the subscribers, if there is one.
func (sv *Server) enter(s *session) bool {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if len(sv.subs) >= sv.opts.Subscribers {
		return false
	}
	if sv.subs[s] = struct{}{}; len(sv.subs) == 1 {
		sv.tidings = follow(sv.src)
	}
	s.tidings = sv.tidings
	return true
}

// leave takes the place away. Nothing follows the source once the last has left.
func (sv *Server) leave(s *session) {
	if t := sv.without(s); t != nil {
		t.end()
	}
}

// without removes s, and hands over the tidings if nobody needs them any more.
func (sv *Server) without(s *session) (unneeded *tidings) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if s.pushed {
		s.pushed = false
		sv.pushed--
	}
	if delete(sv.subs, s); len(sv.subs) == 0 {
		unneeded, sv.tidings = sv.tidings, nil
	}
	return unneeded
}

// push gives s a place among those that are pushed to, or takes it away. It
// reports whether s has what was asked for.
func (sv *Server) push(s *session, on bool) bool {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	switch {
	case s.pushed == on:
	case on && sv.pushed >= sv.opts.Pushed:
		return false
	case on:
		s.pushed = true
		sv.pushed++
	default:
		s.pushed = false
		sv.pushed--
	}
	return true
}

// others names subscribers that serve, those that have most of the log first.
func (sv *Server) others(except p2p.PeerID) *refer {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	m := &refer{}
	for s := range sv.subs { // any order will do: it spreads those who are referred
		if id := s.Peer(); id != except && len(s.addresses) > 0 && len(m.Peers) < maxReferred {
			m.Peers = append(m.Peers, Referral{Peer: id, Addresses: s.addresses})
		}
	}
	return m
}

// end tells the peer why, in so far as it may know, and ends the stream. What has
// no code is our own fault and is logged.
func (sv *Server) end(s *p2p.Stream, err error) error {
	if spec.CodeOf(err) == "" {
		sv.opts.Logger.Error("cannot serve the log", "peer", string(s.Peer()), "error", err)
	}
	b, encErr := encodeFault(err)
	if encErr != nil {
		return encErr
	}
	if werr := s.WriteFrame(b); werr != nil {
		return werr
	}
	return errors.Join(errEnded, s.Close())
}

// errEnded stops the loop after a fault was sent.
var errEnded = errors.New("stream ended with a fault")

// groups reads from the source and checks that it keeps its word.
func (sv *Server) groups(ctx context.Context, role string, from uint64, maxBytes int) ([]Group, error) {
	groups, err := sv.src.Read(ctx, role, from, maxBytes)
	if err != nil {
		return nil, err
	}
	if len(groups) == 0 {
		return nil, fmt.Errorf("the source has no group at %d", from)
	}
	for i := range groups {
		if err := groups[i].check(); err != nil {
			return nil, fmt.Errorf("the source's group at %d: %v", groups[i].First, err)
		}
		if groups[i].First != from {
			return nil, fmt.Errorf("the source's group begins at %d, not %d", groups[i].First, from)
		}
		from = groups[i].Next()
	}
	return groups, nil
}

// sendGroup writes the parts of a group. before is asked for leave with the size
// of each.
func sendGroup(s *p2p.Stream, g *Group, before func(n int) error) error {
	return g.parts(func(p part) error {
		b, err := encode(kindPart, &p)
		if err != nil {
			return err
		}
		if before != nil {
			if err := before(len(b)); err != nil {
				return err
			}
		}
		return s.WriteFrame(b)
	})
}
