// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"errors"
	"slices"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
)

// SetReserve names peers that are asked only while none of the upstreams keeps the
// part of the log that we need and no snapshot may take its place.
func (r *Reader) SetReserve(ids []p2p.PeerID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ups = slices.DeleteFunc(r.ups, func(u *upstream) bool { return u.reserve && !slices.Contains(ids, u.id) })
	for _, id := range ids {
		if r.upstream(id) == nil {
			r.ups = append(r.ups, &upstream{id: id, reserve: true})
		}
	}
	r.poke()
}

// followable counts the upstreams that are no reserve. Caller holds mu.
func (r *Reader) followable() (n int) {
	for _, u := range r.ups {
		if !u.reserve {
			n++
		}
	}
	return n
}

// lacking reports whether what we need is kept by none of those that we are linked
// to, and has to be replayed. Caller holds mu.
func (r *Reader) lacking() bool {
	_, _, gone := r.source()
	return gone && !r.snapshots()
}

var (
	errLacks = errors.New("it does not keep what we need: others get a turn")
	errSpare = errors.New("it is needed no more")
)

// makeRoom leaves an upstream that does not keep what we need while another may, and
// one of the reserve once it is not needed. Caller holds mu.
func (r *Reader) makeRoom(now time.Time) {
	if !r.lacking() {
		if r.target != nil && r.target.Size <= r.size.Load() {
			r.spare()
		}
		return
	}
	if len(r.links) < upstreams {
		return // dial fills the place
	}
	if u, _ := r.free(now); u == nil {
		return
	}
	var worst *link
	for _, u := range r.ups {
		l := r.links[u.id]
		switch {
		case l == nil:
		case !l.headed:
			return // it may be the one
		case l.gone && (worst == nil || !u.better(worst.up)):
			worst = l
		}
	}
	if worst != nil {
		worst.hangUp(errLacks)
	}
}

// spare goes back to those that are to be followed, once all is there. Caller holds mu.
func (r *Reader) spare() {
	others := false
	for _, u := range r.ups {
		u.lacks = 0
		if l := r.links[u.id]; l != nil {
			l.gone = false
			others = others || l.headed && !u.reserve
		}
	}
	for _, l := range r.links {
		if l.up.reserve && others {
			l.hangUp(errSpare)
		}
	}
}
