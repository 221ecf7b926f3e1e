// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// reading is one stream from one upstream.
type reading struct {
	f      *Follower
	up     *upstream
	stream *p2p.Stream
	asm    assembler
	head   uint64    // largest size that the upstream claimed
	began  time.Time // of the group being assembled
	moved  time.Time // when the last part arrived, or we had all
}

// follow subscribes to u and appends until the stream ends. It never returns nil.
func (f *Follower) follow(ctx context.Context, u *upstream) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := f.dialer.OpenStream(ctx, u.id, Protocol)
	if err != nil {
		return err
	}
	defer s.Reset()
	r := &reading{f: f, up: u, stream: s, moved: f.opts.Now()}
	r.asm.next = f.sink.Size()
	if err := r.subscribe(); err != nil {
		return err
	}
	f.update(func(st *Status) { st.Upstream, st.HeadSize, st.HeadTime = u.id, 0, time.Time{} })
	for {
		if err := r.step(ctx); err != nil {
			return err
		}
	}
}

func (r *reading) subscribe() error {
	b, err := encode(kindSub, &sub{Size: r.asm.next})
	if err != nil {
		return &localError{err}
	}
	if err := r.stream.WriteFrame(b); err != nil {
		return err
	}
	return r.stream.Flush()
}

// step takes one message.
func (r *reading) step(ctx context.Context) error {
	frame, err := r.stream.ReadFrame(p2p.MaxFrame)
	if spec.CodeOf(err) != "" {
		return blame(err)
	}
	if err != nil {
		return err
	}
	m, err := decode(frame)
	if err != nil {
		return blame(err)
	}
	r.f.update(func(st *Status) { st.LastHeard = r.f.opts.Now() })
	switch m := m.(type) {
	case *Head:
		err = r.onHead(m)
	case *part:
		err = r.onPart(ctx, m)
	case *fault:
		return m.err
	default:
		err = offence("a message that only followers send")
	}
	if err != nil {
		return err
	}
	return r.punctual()
}

func (r *reading) onHead(h *Head) error {
	if h.Size < r.head {
		return offence("a head of size %d after one of %d", h.Size, r.head)
	}
	r.head = h.Size
	if on := r.f.opts.OnHead; on != nil {
		if err := blame(on(r.up.id, *h)); err != nil {
			return err
		}
	}
	r.f.update(func(st *Status) {
		st.HeadSize, st.HeadTime = h.Size, time.UnixMilli(int64(min(h.TimeMS, maxMS)))
		r.up.delivered()
	})
	return nil
}

func (r *reading) onPart(ctx context.Context, p *part) error {
	now := r.f.opts.Now()
	if r.asm.cur == nil {
		r.began = now
	}
	r.moved = now
	g, err := r.asm.add(p)
	if err != nil || g == nil {
		return blame(err)
	}
	if err := blame(r.f.sink.Append(ctx, *g)); err != nil {
		return err
	}
	if size := r.f.sink.Size(); size != g.Next() {
		return &localError{fmt.Errorf("the sink has %d leaves after a group that ends at %d", size, g.Next())}
	}
	r.head = max(r.head, g.Next())
	r.moved = r.f.opts.Now() // appending took our time, not the upstream's
	r.f.update(func(st *Status) { st.HeadSize = max(st.HeadSize, g.Next()) })
	return nil
}

// punctual fails an upstream that sends in time, but never what is due.
func (r *reading) punctual() error {
	now := r.f.opts.Now()
	if r.asm.cur != nil && now.Sub(r.began) > groupTimeout {
		return offence("a group took longer than %v", groupTimeout)
	}
	if r.asm.cur == nil && r.asm.next >= r.head {
		r.moved = now
	}
	if now.Sub(r.moved) > stallTimeout {
		return offence("nothing came for %v although its head is ahead", stallTimeout)
	}
	return nil
}

// maxMS keeps a claimed time within what time.Time can show.
const maxMS = 1 << 50

func offence(format string, args ...any) error {
	return blame(spec.Errorf(spec.CodeMalformed, format, args...))
}
