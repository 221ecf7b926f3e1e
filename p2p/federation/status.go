// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// A Status is a reader's account of itself.
type Status struct {
	State     State
	Size      uint64           // leaves that are shown
	Known     uint64           // leaves of the largest final log that was seen
	Final     time.Time        // newest cosign time of what is shown; zero: nothing is final
	Shown     uint64           // largest size that was ever shown: above Size something was lost
	Fork      *Fork            // why it halted, or nil
	Upstreams []UpstreamStatus // that are linked, in the order of preference
	Refusals  []Refusal        // of upstreams that let us follow them no more, in the order of preference
	LastError string           // why the last stream or task ended, or ""
	FailedAt  time.Time        // when that was
	Done, Of  uint64           // bytes of the snapshot being fetched
}

// An UpstreamStatus tells of one open stream.
type UpstreamStatus struct {
	Peer     p2p.PeerID
	Eager    bool
	Size     uint64 // that it announced
	Offences int
}

// A Refusal tells of an upstream that answered with a Fault, and has not delivered since.
type Refusal struct {
	Peer    p2p.PeerID
	Code    spec.Code
	Message string    // in the upstream's words, printable
	Since   time.Time // when it first refused with this code
}

// Behind is how many final leaves are known and not shown.
func (s Status) Behind() uint64 {
	if s.Known <= s.Size {
		return 0
	}
	return s.Known - s.Size
}

// Status tells how the reader stands now.
func (r *Reader) Status() Status {
	m := r.marks.Mark()
	r.mu.Lock()
	defer r.mu.Unlock()
	st := Status{State: r.m.now(), Size: r.size.Load(), Shown: m.Shown, Fork: m.Fork, LastError: r.lastErr, FailedAt: r.failedAt, Done: r.done, Of: r.of}
	if r.target != nil {
		st.Known = r.target.Size
	}
	if r.visible != nil {
		st.Final = r.visible.Time
	}
	for _, u := range r.ups {
		if u.refusal != nil {
			st.Refusals = append(st.Refusals, *u.refusal)
		}
		if l := r.links[u.id]; l != nil && l.headed {
			st.Upstreams = append(st.Upstreams, UpstreamStatus{Peer: u.id, Eager: l.eager, Size: l.size, Offences: u.offences})
		}
	}
	return st
}

// Current reports whether all that is known to be final is shown.
func (s Status) Current() bool {
	return s.State == Live && !s.Final.IsZero() && s.Behind() == 0 && s.Size >= s.Shown
}
