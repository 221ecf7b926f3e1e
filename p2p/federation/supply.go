// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"bytes"
	"slices"
	"time"
)

// final verifies a note unless it is the one that the upstream, or another, showed
// last. An empty note is nil.
func (r *Reader) final(l *link, note []byte) (*Final, error) {
	if len(note) == 0 {
		return nil, nil
	}
	if f := r.shown(l, note); f != nil {
		return f, nil
	}
	r.opening.Lock() // upstreams show the same at the same time
	defer r.opening.Unlock()
	if f := r.shown(l, note); f != nil {
		return f, nil
	}
	f, err := r.open(note)
	if err == nil {
		r.mu.Lock()
		r.opened = f
		r.mu.Unlock()
	}
	return f, err
}

// shown returns what is known of a note that was verified already.
func (r *Reader) shown(l *link, note []byte) *Final {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.visible; v != nil && bytes.Equal(v.Note, note) {
		return v
	}
	number := r.panel.Number()
	for _, f := range []*Final{l.final, r.target, r.opened} {
		if f != nil && f.Under == number && bytes.Equal(f.Note, note) { // another panel may not make it final
			return f
		}
	}
	return nil
}

// judge compares a final checkpoint with what is known, and remembers it while
// that does not reach far enough.
func (r *Reader) judge(f *Final) error {
	r.mu.Lock()
	if r.target == f || r.visible == f {
		r.mu.Unlock()
		return nil
	}
	for _, d := range append(slices.Clone(r.doubts), r.target) {
		if d != nil && d.Size == f.Size && d.Root != f.Root {
			r.mu.Unlock()
			return r.halt(&Fork{Other: f.Note, Final: d.Note, Root: d.Root})
		}
	}
	seized := r.seized
	r.mu.Unlock()
	var fork *Fork
	var known, level bool
	var err error
	if !seized {
		r.apply.Lock()
		fork, known, err = r.compare(f)
		level = f.Size == r.edge.Size
		r.apply.Unlock()
	}
	if err != nil {
		return err
	}
	if fork != nil {
		return r.halt(fork)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !known && !slices.ContainsFunc(r.doubts, func(d *Final) bool { return d.Size == f.Size }) {
		r.doubts = append(r.doubts, f)
		if len(r.doubts) > maxDoubts {
			r.doubts = r.doubts[1:]
		}
	}
	if r.target == nil || f.Size > r.target.Size {
		r.target = f
		r.poke()
	}
	if level {
		r.show(f)
	}
	return nil
}

// show makes f what answers rest on if it is newer. Caller holds mu.
func (r *Reader) show(f *Final) {
	if v := r.visible; v == nil || f.Size > v.Size || f.Size == v.Size && f.Time.After(v.Time) {
		r.visible = f
		r.tell(f)
	}
}

func (r *Reader) tell(f *Final) {
	if r.cfg.OnFinal != nil {
		r.cfg.OnFinal(*f)
	}
}

// take hands a stretch to the ledger.
func (r *Reader) take(groups []Group, proof []hash, f *Final) (fresh bool, err error) {
	r.apply.Lock()
	defer r.apply.Unlock()
	r.mu.Lock()
	halted, seized := r.m.now() == Halt, r.seized
	r.mu.Unlock()
	if halted || seized {
		return false, nil
	}
	fresh, err = r.append(groups, proof, f)
	defer r.reread()
	if err != nil || !fresh {
		return false, err
	}
	size := r.edge.Size
	r.size.Store(size)
	r.mu.Lock()
	var reached []*Final
	r.doubts = slices.DeleteFunc(r.doubts, func(d *Final) bool {
		if d.Size <= size {
			reached = append(reached, d)
		}
		return d.Size <= size
	})
	if f.Size == size {
		r.visible = f // told before it was shown
	}
	if r.target == nil || r.target.Size <= size {
		r.ahead = time.Time{}
	}
	r.mu.Unlock()
	for _, d := range reached {
		fork, known, err := r.compare(d)
		switch {
		case err != nil:
			return true, err
		case fork != nil:
			return true, r.haltLocked(fork)
		case !known:
			r.mu.Lock()
			r.doubts = append(r.doubts, d)
			r.mu.Unlock()
		default:
			r.mu.Lock()
			if d.Size == size {
				r.show(d)
			}
			r.mu.Unlock()
		}
	}
	return true, nil
}

// eagers counts the upstreams that push. Caller holds mu.
func (r *Reader) eagers() (n int) {
	for _, l := range r.links {
		if l.eager {
			n++
		}
	}
	return n
}

// supply keeps one upstream eager, grafts those that prove to be ahead, and leaves
// those that promised and did not deliver. Caller holds mu.
func (r *Reader) supply(now time.Time, size uint64) time.Duration {
	wait := time.Minute
	if r.eagers() == 0 {
		var best *link
		for _, u := range r.ups { // in their order, so that equals are chosen the same way
			if l := r.links[u.id]; l != nil && l.headed && now.After(l.full) && (best == nil || u.better(best.up)) {
				best = l
			}
		}
		if best != nil {
			r.graft(best, now, size)
		} else if len(r.links) > 0 {
			wait = busyRetry / 4
		}
	}
	for _, u := range r.ups {
		if l := r.links[u.id]; l != nil {
			wait = min(wait, r.attend(l, now, size))
		}
	}
	return wait
}

// attend looks after one link.
func (r *Reader) attend(l *link, now time.Time, size uint64) time.Duration {
	if l.size <= size {
		l.ahead = time.Time{}
		return time.Minute
	}
	if l.ahead.IsZero() {
		l.ahead = now
	}
	if l.eager {
		since := l.delivered
		for _, t := range []time.Time{l.grafted, l.ahead} {
			if t.After(since) {
				since = t
			}
		}
		if left := promise - now.Sub(since); left > 0 {
			return left
		}
		if r.applying() {
			return promise // it is we who are slow
		}
		l.hangUp(offence("it announced %d leaves and delivered nothing for %v", l.size, promise))
		return time.Minute
	}
	if left := graftAfter - now.Sub(l.ahead); left > 0 {
		return left
	}
	if l.note != nil {
		note := l.note
		l.note = nil
		r.running.Go(func() { r.check(l, note) })
	}
	if left := l.full.Sub(now); left > 0 {
		return left
	}
	if r.eagers() < 2 && !r.busy {
		r.graft(l, now, size)
	}
	return promise
}

// check verifies what an IHave claims.
func (r *Reader) check(l *link, note []byte) {
	f, err := r.final(l, note)
	if err == nil && f != nil {
		err = r.judge(f)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		l.hangUp(err)
	case f != nil && (l.final == nil || f.Size >= l.final.Size):
		l.final = f
	}
	r.poke()
}

// applying reports whether groups are being replayed now.
func (r *Reader) applying() bool {
	if r.apply.TryLock() {
		r.apply.Unlock()
		return false
	}
	return true
}

// graft asks a link to push. Caller holds mu.
func (r *Reader) graft(l *link, now time.Time, size uint64) {
	l.eager, l.grafted, l.awaiting, l.graftAt = true, now, true, size
	l.say(kindGraft, &graft{Size: size, Credit: credit})
}
