// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// busyRetry is the hint to a peer that has too many streams open.
const busyRetry = 200 * time.Millisecond

// inbound knows every stream that peers have open with us, so that it can bound
// them per protocol and peer and end those whose right to be there has ended.
type inbound struct {
	mu     sync.Mutex
	closed bool
	live   map[*guest]struct{}
	count  map[seat]int
	left   sync.WaitGroup // of guests
	denied atomic.Uint64  // streams that were refused for the role of their peer
}

// A seat is what the bound on open streams counts.
type seat struct {
	proto string
	peer  PeerID
}

// A guest is one open inbound stream.
type guest struct {
	seat
	policy Policy
	end    context.CancelCauseFunc
	role   string // with which it came in, "" until then; guarded by inbound.mu
}

// enter admits g or returns DENIED or BUSY. Each entered guest must leave. The
// directory is asked after g is registered, so that a recheck which runs at the
// same time either finds g or has already changed the answer; and without the
// lock, since it is the node's code.
func (in *inbound) enter(g *guest, dir Directory) (role string, err error) {
	if !in.seatFor(g) {
		return "", Busy(busyRetry)
	}
	for {
		role, ok := dir.Role(g.peer)
		if !ok || !g.policy.admits(g.peer, role) {
			in.leave(g)
			in.denied.Add(1)
			if role == RoleFormer {
				return "", departed()
			}
			return "", denied()
		}
		in.mu.Lock()
		same := g.role == role
		g.role = role
		in.mu.Unlock()
		if same { // asked once more after a recheck could see it
			return role, nil
		}
	}
}

func (in *inbound) seatFor(g *guest) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed || in.count[g.seat] >= g.policy.MaxStreams {
		return false
	}
	if in.live == nil {
		in.live, in.count = map[*guest]struct{}{}, map[seat]int{}
	}
	in.live[g] = struct{}{}
	in.count[g.seat]++
	in.left.Add(1)
	return true
}

func (in *inbound) leave(g *guest) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.live, g)
	if in.count[g.seat]--; in.count[g.seat] == 0 {
		delete(in.count, g.seat)
	}
	in.left.Done()
}

// guests lists those of one protocol, or of all when proto is empty.
func (in *inbound) guests(proto string) []*guest {
	in.mu.Lock()
	defer in.mu.Unlock()
	var out []*guest
	for g := range in.live {
		if proto == "" || g.proto == proto {
			out = append(out, g)
		}
	}
	return out
}

// recheck ends the guests that dir and their protocol's policy no longer admit, and
// those that came in with another role than they have now.
func (in *inbound) recheck(dir Directory) {
	for _, g := range in.guests("") {
		role, ok := dir.Role(g.peer)
		in.mu.Lock()
		other := g.role != "" && g.role != role
		in.mu.Unlock()
		if !ok || other || !g.policy.admits(g.peer, role) {
			g.end(denied())
		}
	}
}

// end ends the guests of one protocol.
func (in *inbound) end(proto string) {
	for _, g := range in.guests(proto) {
		g.end(context.Canceled)
	}
}

// close ends all guests, admits no more, and waits until all have left.
func (in *inbound) close() {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
	for _, g := range in.guests("") {
		g.end(context.Canceled)
	}
	in.left.Wait()
}
