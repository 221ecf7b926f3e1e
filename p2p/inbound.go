// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"context"
	"sync"
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
}

// enter admits g or returns DENIED or BUSY. Each entered guest must leave.
func (in *inbound) enter(g *guest, dir Directory) (role string, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	role, ok := dir.Role(g.peer)
	if !ok || !g.policy.admits(g.peer, role) {
		return "", denied()
	}
	if in.closed || in.count[g.seat] >= g.policy.MaxStreams {
		return "", Busy(busyRetry)
	}
	if in.live == nil {
		in.live, in.count = map[*guest]struct{}{}, map[seat]int{}
	}
	in.live[g] = struct{}{}
	in.count[g.seat]++
	return role, nil
}

func (in *inbound) leave(g *guest) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.live, g)
	if in.count[g.seat]--; in.count[g.seat] == 0 {
		delete(in.count, g.seat)
	}
}

// recheck ends the guests that dir and their protocol's policy no longer admit.
func (in *inbound) recheck(dir Directory) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for g := range in.live {
		if role, ok := dir.Role(g.peer); !ok || !g.policy.admits(g.peer, role) {
			g.end(denied())
		}
	}
}

// end ends the guests of one protocol.
func (in *inbound) end(proto string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for g := range in.live {
		if g.proto == proto {
			g.end(context.Canceled)
		}
	}
}

// close ends all guests and admits no more.
func (in *inbound) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	for g := range in.live {
		g.end(context.Canceled)
	}
}
