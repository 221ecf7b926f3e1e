// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"errors"
	"math/rand/v2"
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
	failures int // outages and refusals since it last delivered
	offences int // ever: an offender that behaves for a while gains nothing by it
	until    time.Time
}

// delivered forgives outages.
func (u *upstream) delivered() { u.failures = 0 }

// failed sets the pause that err deserves.
func (u *upstream) failed(now time.Time, err error) {
	var f *p2p.Fault
	switch {
	case errors.As(err, &f):
		p := refusalPause
		if f.Err.Code == spec.CodeBusy {
			p = outagePause
		}
		u.failures++
		u.until = now.Add(max(p.after(u.failures), f.Retry))
	case errors.Is(err, errOffence):
		u.offences++
		u.until = now.Add(offencePause.after(u.offences))
	default:
		u.failures++
		u.until = now.Add(outagePause.after(u.failures))
	}
}

// choose returns the upstream to try now: of those whose pause is over the one
// with the fewest offences, then failures, then the first named. Without one it
// says how long to wait.
func choose(ups []*upstream, now time.Time) (*upstream, time.Duration) {
	var best *upstream
	wait := time.Hour
	for _, u := range ups {
		if d := u.until.Sub(now); d > 0 {
			wait = min(wait, d)
			continue
		}
		if best == nil || u.offences < best.offences || u.offences == best.offences && u.failures < best.failures {
			best = u
		}
	}
	return best, wait
}
