// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"fmt"

	"github.com/tocsin-db/tocsin/spec"
)

var (
	// ErrUnknownOutcome (OUTCOME_UNKNOWN) means that the submission was
	// proposed and may or may not be committed. Ask for the operation by its
	// id, or submit the same bytes again: an operation is applied once only.
	ErrUnknownOutcome = spec.Errorf(spec.CodeUnknown, "it is not known whether the operation was committed; ask for it by its id or submit the same bytes again")

	// ErrStopped (UNAVAILABLE) means that this node is stopping or stopped.
	// The submission was not proposed.
	ErrStopped = spec.Errorf(spec.CodeUnavailable, "this node is stopping")

	errQueueFull = spec.Errorf(spec.CodeBusy, "too many submissions are waiting; try again in a moment")
)

// NotLeaderError (NOT_LEADER) means that another sequencer leads. The
// submission was not proposed: it may be sent to Leader.
type NotLeaderError struct {
	Leader string // raft server id, or "" while none is known
}

func (e *NotLeaderError) Error() string {
	if e.Leader == "" {
		return "this sequencer does not lead and knows no leader at the moment"
	}
	return "this sequencer does not lead; " + e.Leader + " does"
}

// Unwrap gives the error its code.
func (e *NotLeaderError) Unwrap() error {
	return &spec.Error{Code: spec.CodeNotLeader, Message: "not the leader"}
}

func unknown(why error) error { return fmt.Errorf("%w (%v)", ErrUnknownOutcome, why) }
