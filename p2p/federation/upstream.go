// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// A pause doubles from min to max with each failure of its kind in a row.
type pause struct{ min, max time.Duration }

var (
	outagePause  = pause{200 * time.Millisecond, 5 * time.Second} // not reached, or cut off
	refusalPause = pause{time.Second, time.Minute}                // it answered with a fault
	offencePause = pause{10 * time.Second, 10 * time.Minute}      // it sent what cannot be
)

func (p pause) after(failures int) time.Duration {
	d := p.max
	if shift := failures - 1; shift < 20 {
		d = min(p.min<<shift, p.max)
	}
	return d/2 + rand.N(d/2+1) // followers of one upstream do not return in step
}

// upstream is a peer that we may follow, and what we hold against it.
type upstream struct {
	id       p2p.PeerID
	referred bool // named by another upstream
	reserve  bool // see SetReserve
	lacks    int  // how often it gave way since it does not keep what we need
	failures int  // outages and refusals since it last delivered
	offences int  // ever: an offender that behaves for a while gains nothing by it
	until    time.Time
	refusal  *Refusal // nil: none since it last delivered
}

// delivered forgives outages.
func (u *upstream) delivered() { u.failures, u.refusal = 0, nil }

// refused notes why, and since when, the upstream refuses streams.
func (u *upstream) refused(now time.Time, f *p2p.Fault) {
	r := &Refusal{Peer: u.id, Code: f.Err.Code, Message: f.Err.Message, Since: now}
	if u.refusal != nil && u.refusal.Code == r.Code {
		r.Since = u.refusal.Since
	}
	u.refusal = r
}

// failed sets the pause that err deserves.
func (u *upstream) failed(now time.Time, err error) {
	var f *p2p.Fault
	switch {
	case errors.Is(err, errOffence):
		u.offences++
		u.until = now.Add(offencePause.after(u.offences))
	case errors.Is(err, errLacks):
		u.lacks++
		u.until = now.Add(refusalPause.after(u.lacks))
	case errors.As(err, &f):
		p := refusalPause
		if f.Err.Code == spec.CodeBusy {
			p = outagePause // full, or saying whom to follow instead: nothing against this node
		} else {
			u.refused(now, f)
		}
		u.failures++
		u.until = now.Add(max(p.after(u.failures), f.Retry))
	default:
		u.failures++
		u.until = now.Add(outagePause.after(u.failures))
	}
}

// better orders upstreams: the fewest offences, then what they lacked, then failures,
// then the first named.
func (u *upstream) better(o *upstream) bool {
	return o == nil || cmp.Or(cmp.Compare(u.offences, o.offences), cmp.Compare(u.lacks, o.lacks), cmp.Compare(u.failures, o.failures)) < 0
}

// SetUpstreams names the peers to follow, the preferred first. What is held
// against those that stay is kept, and so are streams that are open.
func (r *Reader) SetUpstreams(ids []p2p.PeerID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ups []*upstream
	add := func(u *upstream) {
		if !slices.ContainsFunc(ups, func(o *upstream) bool { return o.id == u.id }) {
			ups = append(ups, u)
		}
	}
	for _, id := range ids {
		u := r.upstream(id)
		if u == nil {
			u = &upstream{id: id}
		}
		u.referred, u.reserve = false, false
		add(u)
	}
	for _, u := range r.ups {
		if u.referred || u.reserve {
			add(u)
		}
	}
	r.ups = ups
	r.poke()
}

// upstream finds one by id. Caller holds mu.
func (r *Reader) upstream(id p2p.PeerID) *upstream {
	for _, u := range r.ups {
		if u.id == id {
			return u
		}
	}
	return nil
}

// free returns the best upstream that is not linked and does not wait, or how long
// until there is one. Caller holds mu.
func (r *Reader) free(now time.Time) (best *upstream, wait time.Duration) {
	wait = time.Hour
	lacking := r.lacking()
	for _, u := range r.ups {
		if r.links[u.id] != nil || u.reserve && !lacking {
			continue
		}
		if d := u.until.Sub(now); d > 0 {
			wait = min(wait, d)
		} else if u.better(best) {
			best = u
		}
	}
	return best, wait
}

// dial links upstreams until there are enough.
func (r *Reader) dial(ctx context.Context, now time.Time) time.Duration {
	for len(r.links) < upstreams {
		u, wait := r.free(now)
		if u == nil {
			return wait
		}
		r.link(ctx, u, now)
	}
	return time.Hour
}

// named takes a referral.
func (r *Reader) named(from p2p.PeerID, m *refer) {
	for _, p := range m.Peers {
		if p.Peer.Valid() != nil || r.cfg.Refer == nil {
			continue
		}
		r.mu.Lock()
		known, n := r.upstream(p.Peer), 0
		for _, u := range r.ups {
			if u.referred {
				n++
			}
		}
		r.mu.Unlock()
		if known != nil || n >= maxReferees || !r.cfg.Refer(from, p) {
			continue
		}
		r.mu.Lock()
		if r.upstream(p.Peer) == nil {
			r.ups = append(r.ups, &upstream{id: p.Peer, referred: true})
		}
		r.mu.Unlock()
		r.poke()
	}
}
