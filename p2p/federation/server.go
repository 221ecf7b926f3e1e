// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// Keepalive is how often a server sends a head when nothing else happens.
const Keepalive = 5 * time.Second

// readBatch is how many bytes of groups a server asks its Source for at once,
// and so about what one stream holds in memory.
const readBatch = 1 << 20

// A Listener is where a server takes streams from; a *p2p.Host is one.
type Listener interface {
	HandleStream(proto string, policy p2p.Policy, fn p2p.StreamHandler)
}

// ServeOptions are what a server needs beside its Source.
type ServeOptions struct {
	Roles  []string         // that may subscribe; empty: nobody
	Head   func() []byte    // opaque body of each head, at most MaxHead bytes; nil: none
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: slog.Default()
}

// Serve lets peers of the given roles subscribe to src. Each stream is served by
// its own goroutine, which holds a cursor and never a queue.
func Serve(l Listener, src Source, opts ServeOptions) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Head == nil {
		opts.Head = func() []byte { return nil }
	}
	l.HandleStream(Protocol, p2p.Policy{Roles: opts.Roles}, func(ctx context.Context, s *p2p.Stream) error {
		sv := &session{Stream: s, src: src, opts: opts}
		return sv.run(ctx)
	})
}

// session serves one subscriber.
type session struct {
	*p2p.Stream
	src    Source
	opts   ServeOptions
	cursor uint64 // the next leaf to send
	headed time.Time
}

func (sv *session) run(ctx context.Context) error {
	if err := sv.subscribe(); err != nil {
		return err
	}
	err := sv.head()
	for err == nil {
		if sv.src.Size() > sv.cursor {
			err = sv.push(ctx)
		} else {
			err = sv.idle(ctx)
		}
	}
	return err
}

func (sv *session) subscribe() error {
	frame, err := sv.ReadFrame(maxSub)
	if err != nil {
		return err
	}
	m, err := decode(frame)
	if err != nil {
		return sv.end(err)
	}
	want, ok := m.(*sub)
	if !ok {
		return sv.end(spec.Errorf(spec.CodeMalformed, "a subscription comes first"))
	}
	sv.cursor = want.Size
	return nil
}

// push sends what the source has, up to readBatch, and a head when the
// subscriber has all or the last head is old.
func (sv *session) push(ctx context.Context) error {
	groups, err := sv.src.Read(ctx, sv.Role(), sv.cursor, readBatch)
	if err != nil {
		return sv.end(err)
	}
	if len(groups) == 0 {
		return sv.end(fmt.Errorf("the source has %d leaves and no group at %d", sv.src.Size(), sv.cursor))
	}
	for i := range groups {
		if err := sv.send(&groups[i]); err != nil {
			return err
		}
	}
	if sv.src.Size() <= sv.cursor || sv.opts.Now().Sub(sv.headed) >= Keepalive {
		return sv.head()
	}
	return nil
}

func (sv *session) send(g *Group) error {
	if err := g.check(); err != nil {
		return sv.end(fmt.Errorf("the source's group at %d: %v", g.First, err))
	}
	if g.First != sv.cursor {
		return sv.end(fmt.Errorf("the source's group begins at %d, not %d", g.First, sv.cursor))
	}
	err := g.parts(func(p part) error {
		b, err := encode(kindPart, &p)
		if err != nil {
			return sv.end(err)
		}
		return sv.WriteFrame(b)
	})
	sv.cursor = g.Next()
	return err
}

func (sv *session) head() error {
	now := sv.opts.Now()
	b, err := encode(kindHead, &Head{Size: sv.src.Size(), TimeMS: uint64(max(0, now.UnixMilli())), Body: sv.opts.Head()})
	if err != nil {
		return sv.end(err)
	}
	sv.headed = now
	if err := sv.WriteFrame(b); err != nil {
		return err
	}
	return sv.Flush()
}

// idle waits for the next group, or until a head is due.
func (sv *session) idle(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, Keepalive)
	defer cancel()
	err := sv.src.Wait(wait, sv.cursor)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		return sv.head()
	}
	return sv.end(err)
}

// end tells the subscriber why, in so far as it may know, and ends the stream.
// What has no code is our own fault and is logged.
func (sv *session) end(err error) error {
	if spec.CodeOf(err) == "" {
		sv.opts.Logger.Error("cannot serve the log", "peer", string(sv.Peer()), "error", err)
	}
	b, encErr := encodeFault(err)
	if encErr != nil {
		return encErr
	}
	if werr := sv.WriteFrame(b); werr != nil {
		return werr
	}
	return errors.Join(errEnded, sv.Close())
}

// errEnded stops the loop after a fault was sent.
var errEnded = errors.New("stream ended with a fault")
