// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// snapshot is SNAPSHOT.
func (r *Reader) snapshot(ctx context.Context) (event, error) {
	r.apply.Lock() // what is being replayed is finished first
	r.mu.Lock()
	target := r.target
	r.seized = target != nil
	r.mu.Unlock()
	r.apply.Unlock()
	if target == nil { // the panel that is known by now made none final
		return r.fruitless(), nil
	}
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.seized = false
	}()
	err := r.cfg.Bootstrap.Bootstrap(ctx, Job{
		Target: target.Signed, Dialer: r.cfg.Dialer, Sources: r.sources, Blame: r.charge,
		Accept: func(size uint64, _ spec.Hash) error { return r.raise(target, size) },
		Progress: func(done, of uint64) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.done, r.of = done, of
		},
	})
	if err != nil && (ctx.Err() != nil || spec.CodeOf(err) != "") {
		return r.fruitless(), err
	}
	if err != nil {
		return "", &localError{err}
	}
	r.apply.Lock()
	defer r.apply.Unlock()
	if err := r.anchor(); err != nil {
		return "", &localError{err}
	}
	r.size.Store(r.edge.Size)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.barren, r.retry = 0, time.Time{}
	if target.Size == r.edge.Size {
		r.show(target)
	}
	return installed, nil
}

// fruitless: no snapshot was to be had, but the log is.
func (r *Reader) fruitless() event {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.barren++
	r.retry = r.cfg.Now().Add(refusalPause.after(r.barren))
	return installed
}

// sources lists the upstreams that may be asked, the best first.
func (r *Reader) sources() []p2p.PeerID {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.cfg.Now()
	var list []*upstream
	for _, u := range r.ups {
		if u.until.After(now) || u.reserve {
			continue
		}
		i := len(list)
		for i > 0 && u.better(list[i-1]) {
			i--
		}
		list = append(list[:i:i], append([]*upstream{u}, list[i:]...)...)
	}
	ids := make([]p2p.PeerID, len(list))
	for i, u := range list {
		ids[i] = u.id
	}
	return ids
}

// charge implements Job.Blame.
func (r *Reader) charge(id p2p.PeerID, err error) {
	var f *p2p.Fault
	if !errors.As(err, &f) && spec.CodeOf(err) != "" && !errors.Is(err, p2p.ErrNotSent) && !errors.Is(err, p2p.ErrUnknownOutcome) {
		err = blame(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if u := r.upstream(id); u != nil {
		u.failed(r.cfg.Now(), err)
	}
	if l := r.links[id]; l != nil && errors.Is(err, errOffence) {
		l.hangUp(err)
	}
}

// verify is VERIFY.
func (r *Reader) verify(context.Context) (event, error) {
	r.mu.Lock()
	f := r.visible
	r.mu.Unlock()
	r.apply.Lock()
	defer r.apply.Unlock()
	if f != nil && f.Size == r.edge.Size {
		if err := r.replica.Check(f.Signed); err != nil {
			return "", &localError{err}
		}
	}
	return verified, nil
}

func (r *Reader) halted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.m.now() == Halt
}

// halt keeps the proof that two histories are final and stops for good.
func (r *Reader) halt(f *Fork) error {
	r.apply.Lock()
	defer r.apply.Unlock()
	return r.haltLocked(f)
}

// stands reports whether the panels that are known now make both checkpoints of a fork
// final, and forgets those that they do not: one may have been read before the panel of
// its size was known. Caller holds apply.
func (r *Reader) stands(fork *Fork) bool {
	gone := func(note []byte) bool {
		_, err := r.panel.OpenFinal(note)
		return err != nil
	}
	other, final := gone(fork.Other), gone(fork.Final)
	if !other && !final {
		return true
	}
	for _, f := range r.remembered() {
		if other && bytes.Equal(f.Note, fork.Other) || final && bytes.Equal(f.Note, fork.Final) {
			r.replace(f, nil)
		}
	}
	return false
}

// remembered lists the checkpoints that were read and are not shown.
func (r *Reader) remembered() (all []*Final) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add := func(f *Final) {
		if f != nil && f != r.visible && !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	add(r.target)
	for _, d := range r.doubts {
		add(d)
	}
	for _, l := range r.links {
		add(l.final)
	}
	return all
}

// replace puts another in the place of what was remembered, or forgets it: what is
// shown is then the largest that is known.
func (r *Reader) replace(f, by *Final) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.doubts, f); i >= 0 && by != nil {
		r.doubts[i] = by
	} else if i >= 0 {
		r.doubts = slices.Delete(r.doubts, i, i+1)
	}
	for _, l := range r.links {
		if l.final == f {
			l.final = by
		}
	}
	if r.target == f {
		if r.target = by; by == nil {
			r.target = r.visible
		}
	}
	r.poke()
}

// reread reads again what was read before the newest panel was known, and forgets what
// that panel does not make final. Caller holds apply.
func (r *Reader) reread() {
	number := r.panel.Number()
	for _, f := range r.remembered() {
		if f.Under == number {
			continue
		}
		again, err := r.open(f.Note)
		if err != nil {
			again = nil
		}
		r.replace(f, again)
	}
}

// heedPanel rereads when another panel is known than at the last step. Caller holds mu.
func (r *Reader) heedPanel() {
	number := r.panel.Number()
	if number == r.heeded {
		return
	}
	r.heeded = number
	r.running.Go(func() {
		r.apply.Lock()
		defer r.apply.Unlock()
		r.reread()
	})
}

// haltLocked is halt for who holds apply.
func (r *Reader) haltLocked(f *Fork) error {
	if !r.stands(f) {
		return nil
	}
	m := r.marks.Mark()
	m.Fork = f
	err := r.marks.Raise(m)
	r.mu.Lock()
	r.on(forked)
	r.mu.Unlock()
	r.cfg.Logger.Error("HALT: two histories are final")
	if r.cfg.OnFork != nil {
		r.cfg.OnFork(*f)
	}
	if err != nil {
		return &localError{err}
	}
	return context.Canceled // no upstream's fault
}

// Fork is the proof for which the reader stands at HALT, or nil.
func (r *Reader) Fork() *Fork { return r.marks.Mark().Fork }

// Halt stops the reader on a proof that came another way. The proof must be
// verified and its two checkpoints final.
func (r *Reader) Halt(f Fork) error {
	if r.halted() {
		return nil
	}
	if err := r.halt(&f); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
