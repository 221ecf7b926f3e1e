// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

type hash = spec.Hash

// Bytes that one Want asks for: more while answers come fast, less while they come
// slowly, so that a slow one is told from one that stalls.
const (
	minWant    = 64 << 10
	firstWant  = 1 << 20
	answerFast = time.Second
	answerSlow = 5 * time.Second
	answerMax  = time.Minute
)

// pullAll pulls in RANGE, which it ends. Caller holds mu.
func (r *Reader) pullAll(ctx context.Context) {
	source, ahead, gone := r.source()
	if source != nil || !ahead && r.headed() > 0 || gone && r.snapshots() {
		r.task(ctx, r.pull)
	}
}

// pullMore pulls in LAG, which ends when the log has all. Caller holds mu.
func (r *Reader) pullMore(ctx context.Context) {
	if source, _, gone := r.source(); source != nil || gone && r.snapshots() {
		r.task(ctx, func(ctx context.Context) (event, error) {
			e, err := r.pull(ctx)
			if e != far {
				e = ""
			}
			return e, err
		})
	}
}

// snapshots reports whether a snapshot may be taken: not at all, or not so soon after
// none was to be had. Caller holds mu.
func (r *Reader) snapshots() bool {
	return r.cfg.Bootstrap != nil && !r.cfg.Full && !r.cfg.Now().Before(r.retry)
}

// pull fetches the log up to the largest final checkpoint that an upstream shows,
// from one after the other.
func (r *Reader) pull(ctx context.Context) (event, error) {
	for ctx.Err() == nil {
		r.mu.Lock()
		l, ahead, gone := r.source()
		heard, snapshots := r.headed() > 0, r.snapshots()
		r.mu.Unlock()
		switch {
		case !ahead && heard:
			return level, nil
		case gone && snapshots:
			return far, nil
		case l == nil:
			return "", nil
		}
		err := r.pullFrom(ctx, l)
		var local *localError
		var refusal *p2p.Fault
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.As(err, &local):
			return "", err
		case errors.As(err, &refusal) && !errors.Is(err, errOffence):
			r.unfit(l, refusal)
		default:
			l.hangUp(err)
			r.forget(l)
		}
	}
	return "", ctx.Err()
}

// forget takes a link that ends out of the choice at once.
func (r *Reader) forget(l *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.final, l.headed = nil, false
}

// unfit keeps a link that announces, and asks it for no range for a while.
func (r *Reader) unfit(l *link, f *p2p.Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.unfit = r.cfg.Now().Add(max(refusalPause.min, f.Retry))
	l.gone = f.Err.Code == spec.CodeGone
	r.failed(f)
}

// headed counts the upstreams that said what is final. Caller holds mu.
func (r *Reader) headed() (n int) {
	for _, l := range r.links {
		if l.headed {
			n++
		}
	}
	return n
}

// source is the best link that showed more than we have and did not refuse just
// now. ahead says whether any showed more; gone, that none of those keeps what we
// need. Caller holds mu.
func (r *Reader) source() (best *link, ahead, gone bool) {
	size, now := r.size.Load(), r.cfg.Now()
	gone = true
	for _, u := range r.ups {
		l := r.links[u.id]
		if l == nil || l.final == nil || l.final.Size <= size {
			continue
		}
		ahead, gone = true, gone && l.gone
		if !now.Before(l.unfit) && (best == nil || u.better(best.up)) {
			best = l
		}
	}
	return best, ahead, gone && ahead
}

// pullFrom takes ranges from one upstream until we have what it showed.
func (r *Reader) pullFrom(ctx context.Context, l *link) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := r.cfg.Dialer.OpenStream(ctx, l.up.id, RangeProtocol)
	if err != nil {
		return err
	}
	defer s.Reset()
	stop := context.AfterFunc(ctx, s.Reset)
	defer stop()
	bytes := uint64(firstWant)
	for {
		r.mu.Lock()
		upto := l.final
		r.mu.Unlock()
		from := r.size.Load()
		if upto == nil || upto.Size <= from {
			return nil
		}
		began := r.cfg.Now()
		groups, m, err := r.ask(s, want{From: from, Upto: upto.Size, Bytes: bytes})
		if err != nil {
			return err
		}
		switch took := r.cfg.Now().Sub(began); {
		case took < answerFast:
			bytes = min(2*bytes, maxStretch)
		case took > answerSlow:
			bytes = max(bytes/2, minWant)
		}
		if _, err := r.take(groups, m.Proof, upto); err != nil {
			return err
		}
		r.mu.Lock()
		l.up.delivered()
		l.gone = false
		r.mu.Unlock()
	}
}

// ask sends one Want and takes the answer to it.
func (r *Reader) ask(s *p2p.Stream, w want) ([]Group, *seal, error) {
	b, err := encode(kindWant, &w)
	if err != nil {
		return nil, nil, &localError{err}
	}
	if err := errors.Join(s.WriteFrame(b), s.Flush()); err != nil {
		return nil, nil, err
	}
	var got stretch
	got.restart(w.From)
	began := r.cfg.Now()
	for {
		if r.cfg.Now().Sub(began) > answerMax {
			return nil, nil, offence("an answer took longer than %v", answerMax)
		}
		frame, err := s.ReadFrame(p2p.MaxFrame)
		if spec.CodeOf(err) != "" {
			return nil, nil, blame(err)
		}
		if err != nil {
			return nil, nil, err
		}
		m, err := decodeRange(frame)
		if err != nil {
			return nil, nil, blame(err)
		}
		switch m := m.(type) {
		case *part:
			if _, err := got.take(m); err != nil {
				return nil, nil, blame(err)
			}
		case *seal:
			if m.Next <= w.From || m.Next > w.Upto {
				return nil, nil, offence("an answer that ends at %d to a range of %d to %d", m.Next, w.From, w.Upto)
			}
			groups, err := got.end(m.Next)
			return groups, m, blame(err)
		case *fault:
			return nil, nil, m.err
		default:
			return nil, nil, offence("a message that only readers send")
		}
	}
}
