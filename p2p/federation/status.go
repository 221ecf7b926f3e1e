// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"time"

	"github.com/tocsin-db/tocsin/p2p"
)

// A State says how a follower stands to its upstream.
type State string

// States of a follower.
const (
	Live         State = "LIVE"         // has all that the upstream says it has
	Lag          State = "LAG"          // connected, and behind or not yet told
	Disconnected State = "DISCONNECTED" // no upstream
)

// A Status is a follower's account of itself. How old the log itself is, only
// the node can tell, from the checkpoint in the head.
type Status struct {
	State     State
	Upstream  p2p.PeerID // "" when disconnected
	Size      uint64     // leaves committed here
	HeadSize  uint64     // leaves that the upstream last claimed
	HeadTime  time.Time  // the upstream's clock then
	LastHeard time.Time  // our clock when the last frame arrived; zero: never
	LastError string     // why the last stream ended, or ""
}

// LagLeaves is how many leaves the upstream has that we have not.
func (s Status) LagLeaves() uint64 {
	if s.HeadSize <= s.Size {
		return 0
	}
	return s.HeadSize - s.Size
}

// settle derives the state of a connected follower.
func (s *Status) settle() {
	s.State = Lag
	if !s.HeadTime.IsZero() && s.LagLeaves() == 0 {
		s.State = Live
	}
}
