// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// link is one stream of Protocol from one upstream. Its fields are guarded by the
// reader's mu but for those of its own goroutine.
type link struct {
	r      *Reader
	up     *upstream
	out    chan []byte // messages to be sent
	hangUp context.CancelCauseFunc
	opened time.Time

	headed    bool
	final     *Final    // newest that it showed
	size      uint64    // largest that it announced
	note      []byte    // that says so, not verified yet
	ahead     time.Time // since when it is ahead of us, zero: it is not
	eager     bool
	grafted   time.Time // zero: never
	delivered time.Time // when something last came that was asked for
	full      time.Time // until when it need not be grafted
	unfit     time.Time // until when it need not be asked for ranges
	gone      bool      // it last said that it does not keep what we need

	awaiting bool   // a Head at graftAt: what comes before belongs to an earlier graft
	graftAt  uint64 // size of the last graft

	// Of the link's own goroutine.
	stream *p2p.Stream
	got    stretch
	bytes  uint64    // to be granted again
	began  time.Time // of the group being assembled
	moved  time.Time // when the last part came, or we had all
}

// link opens a stream to u. Caller holds mu.
func (r *Reader) link(ctx context.Context, u *upstream, now time.Time) {
	ctx, cancel := context.WithCancelCause(ctx)
	l := &link{r: r, up: u, out: make(chan []byte, 16), hangUp: cancel, opened: now, moved: now}
	r.links[u.id] = l
	r.running.Go(func() {
		err := l.run(ctx)
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
		r.unlink(l, err)
	})
}

// unlink records why the stream ended.
func (r *Reader) unlink(l *link, err error) {
	var local *localError
	if errors.As(err, &local) {
		r.fail(local.err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.links, l.up.id)
	if errors.Is(err, context.Canceled) {
		return
	}
	r.cfg.Logger.Info("upstream lost", "peer", string(l.up.id), "offence", errors.Is(err, errOffence), "error", err)
	l.up.failed(r.cfg.Now(), err)
	r.failed(err)
	if len(r.links) == 0 {
		r.on(lost)
	}
	r.poke()
}

// hangUp ends every link. Caller holds mu.
func (r *Reader) hangUp() {
	for _, l := range r.links {
		l.hangUp(context.Canceled)
	}
}

func (l *link) run(ctx context.Context) error {
	s, err := l.r.cfg.Dialer.OpenStream(ctx, l.up.id, Protocol)
	if err != nil {
		return err
	}
	defer s.Reset()
	l.stream = s
	size := l.r.size.Load()
	l.got.restart(size)
	b, err := encode(kindSub, &sub{Size: size, Addresses: l.r.cfg.Addresses})
	if err != nil {
		return &localError{err}
	}
	if err := errors.Join(s.WriteFrame(b), s.Flush()); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, s.Reset)
	defer stop()
	ended := make(chan struct{})
	defer func() { <-ended }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(ended)
		l.speak(ctx)
	}()
	for {
		if err := l.hear(); err != nil {
			return err
		}
	}
}

// speak sends what is to be said, and an Ack when that has been nothing for long.
func (l *link) speak(ctx context.Context) {
	t := time.NewTicker(ackEvery)
	defer t.Stop()
	for {
		var b []byte
		select {
		case <-ctx.Done():
			return
		case b = <-l.out:
		case <-t.C:
			var err error
			if b, err = encode(kindAck, &ack{Size: l.r.size.Load()}); err != nil {
				return
			}
		}
		if errors.Join(l.stream.WriteFrame(b), l.stream.Flush()) != nil {
			l.stream.Reset()
			return
		}
	}
}

// say queues a message. An upstream that takes none is left.
func (l *link) say(kind byte, m any) {
	b, err := encode(kind, m)
	if err != nil {
		l.hangUp(&localError{err})
		return
	}
	select {
	case l.out <- b:
	default:
		l.hangUp(errDeaf)
	}
}

var errDeaf = errors.New("it does not take our messages")

// hear takes one message.
func (l *link) hear() error {
	frame, err := l.stream.ReadFrame(p2p.MaxFrame)
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
	switch m := m.(type) {
	case *head:
		err = l.onHead(m)
	case *part:
		err = l.onPart(m)
	case *ihave:
		l.announce(m.Size, m.Note)
	case *prune:
		l.demoted()
	case *refer:
		l.refused()
		l.r.named(l.up.id, m)
	case *fault:
		return m.err
	default:
		err = offence("a message that only readers send")
	}
	if err != nil {
		return err
	}
	return l.punctual()
}

// onHead takes what is final and what it proves.
func (l *link) onHead(h *head) error {
	r := l.r
	r.mu.Lock()
	shrinks, restart := l.headed && h.Size < l.size, l.awaiting && h.Next == l.graftAt
	r.mu.Unlock()
	if shrinks {
		return offence("a head of size %d after one of %d", h.Size, l.size)
	}
	final, err := r.final(l, h.Note)
	if err != nil {
		return err
	}
	if (final == nil) != (h.Size == 0) || final != nil && final.Size != h.Size {
		return offence("a head of size %d with another checkpoint", h.Size)
	}
	if final != nil {
		if err := r.judge(final); err != nil {
			return err
		}
	}
	switch {
	case restart:
		l.got.restart(h.Next)
	case l.got.open():
		if err := l.prove(h, final); err != nil {
			return err
		}
	}
	r.mu.Lock()
	if restart {
		l.awaiting = false
	}
	l.headed, l.size = true, h.Size
	if final != nil {
		l.final = final
	}
	l.up.delivered()
	r.mu.Unlock()
	r.poke()
	return nil
}

// prove hands the groups since the last Head to the ledger.
func (l *link) prove(h *head, final *Final) error {
	r := l.r
	bytes := l.got.bytes
	groups, err := l.got.end(h.Next)
	if err != nil {
		return blame(err)
	}
	if final == nil {
		return offence("groups and no final checkpoint")
	}
	fresh, err := r.take(groups, h.Proof, final)
	if err != nil {
		return err
	}
	l.moved = r.cfg.Now() // replaying took our time, not the upstream's
	l.bytes += uint64(bytes)
	r.mu.Lock()
	defer r.mu.Unlock()
	l.delivered = l.moved
	if l.bytes >= credit/8 {
		l.say(kindAck, &ack{Size: r.size.Load(), Credit: l.bytes})
		l.bytes = 0
	}
	if !fresh && l.eager && r.eagers() > 1 {
		l.eager = false
		l.say(kindPrune, &prune{})
	}
	return nil
}

func (l *link) onPart(p *part) error {
	r := l.r
	now := r.cfg.Now()
	r.mu.Lock()
	asked, awaiting := !l.grafted.IsZero(), l.awaiting
	l.delivered = now
	r.mu.Unlock()
	if !asked {
		return offence("groups that were not asked for")
	}
	if awaiting {
		return nil
	}
	if l.got.cur == nil {
		l.began = now
	}
	l.moved = now
	_, err := l.got.take(p)
	return blame(err)
}

// punctual fails an upstream that sends in time, but never what is due.
func (l *link) punctual() error {
	now := l.r.cfg.Now()
	l.r.mu.Lock()
	due := l.eager && l.size > l.got.next
	l.r.mu.Unlock()
	if l.got.cur != nil && now.Sub(l.began) > groupTimeout {
		return offence("a group took longer than %v", groupTimeout)
	}
	if l.got.cur == nil && !due {
		l.moved = now
	}
	if now.Sub(l.moved) > stallTimeout {
		return offence("nothing came for %v although its head is ahead", stallTimeout)
	}
	return nil
}

// announce notes that the upstream says it has more.
func (l *link) announce(size uint64, note []byte) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	if size > l.size {
		l.size, l.note = size, note
	}
	if size > l.r.size.Load() {
		l.r.poke()
	}
}

// demoted: the upstream pushes no longer, since we were slow.
func (l *link) demoted() {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.eager = false
	l.r.poke()
}

// refused: the upstream has no room for one more to push to.
func (l *link) refused() {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.eager, l.awaiting = false, false
	l.full = l.r.cfg.Now().Add(busyRetry)
	l.r.poke()
}
