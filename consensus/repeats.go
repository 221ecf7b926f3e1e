// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"sync"
	"time"
)

const (
	repeatWindow = time.Minute
	repeatLines  = 3   // of one kind in a window
	repeatKinds  = 256 // messages times peers are fewer
)

// repeats leaves out what is said again and again: raft says twice a second of a peer
// that is away that it is, for as long as that lasts. The first line of the next
// window says how many were left out.
type repeats struct {
	mu   sync.Mutex
	seen map[string]repeat
}

type repeat struct {
	begun       time.Time // of the window
	lines, left int       // passed on in it, and left out
}

// admit reports whether a line of this kind is passed on, and how many were left out
// since the last that was.
func (r *repeats) admit(kind string, now time.Time) (left int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, known := r.seen[kind]
	if !known && len(r.seen) >= repeatKinds || r.seen == nil {
		r.seen = map[string]repeat{}
	}
	if now.Sub(k.begun) >= repeatWindow {
		left, k = k.left, repeat{begun: now}
	}
	if ok = k.lines < repeatLines; ok {
		k.lines++
	} else {
		k.left++
	}
	r.seen[kind] = k
	return left, ok
}
