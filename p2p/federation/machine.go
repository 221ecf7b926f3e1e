// SPDX-License-Identifier: Apache-2.0

package federation

// A State says what a reader is doing (spec/sync.md).
type State string

// States of a reader.
const (
	Anchor   State = "ANCHOR"   // checking what it starts from
	Heading  State = "HEAD"     // asking what is final
	Snapshot State = "SNAPSHOT" // fetching the state of a snapshot size
	Range    State = "RANGE"    // pulling the log
	Verify   State = "VERIFY"   // comparing what it has with what is final
	Live     State = "LIVE"     // has all that is known to be final
	Lag      State = "LAG"      // behind, and pulling
	Stale    State = "STALE"    // what is final is old
	Halt     State = "HALT"     // two histories are final: for good
)

// States lists them all, for metrics.
var States = []State{Anchor, Heading, Snapshot, Range, Verify, Live, Lag, Stale, Halt}

// An event moves a reader from one state to another.
type event string

const (
	anchored  event = "anchored"  // mark, database and panel agree
	far       event = "far"       // so far behind that a snapshot pays
	behind    event = "behind"    // a final checkpoint is ahead
	level     event = "level"     // none is
	installed event = "installed" // a snapshot, or none was to be had
	verified  event = "verified"
	late      event = "late" // behind for longer than a push takes
	lost      event = "lost" // no upstream is left
	aged      event = "aged" // the newest final checkpoint is old
	fresh     event = "fresh"
	forked    event = "forked"
)

// moves is the whole table: an event that a state does not list changes nothing.
// Nothing leads out of Halt.
var moves = map[State]map[event]State{
	Anchor:   {anchored: Heading, forked: Halt},
	Heading:  {far: Snapshot, behind: Range, level: Verify, aged: Stale, forked: Halt},
	Snapshot: {installed: Range, lost: Heading, forked: Halt},
	Range:    {level: Verify, far: Snapshot, lost: Heading, forked: Halt},
	Verify:   {verified: Live, lost: Heading, forked: Halt},
	Live:     {late: Lag, lost: Heading, aged: Stale, forked: Halt},
	Lag:      {level: Live, far: Snapshot, lost: Heading, aged: Stale, forked: Halt},
	Stale:    {fresh: Heading, far: Snapshot, behind: Range, forked: Halt},
	Halt:     {},
}

// A machine is a reader's state. The zero machine is at ANCHOR.
type machine struct{ state State }

func (m *machine) now() State {
	if m.state == "" {
		return Anchor
	}
	return m.state
}

// on takes an event and reports whether it changed the state.
func (m *machine) on(e event) bool {
	next, ok := moves[m.now()][e]
	if ok {
		m.state = next
	}
	return ok
}
