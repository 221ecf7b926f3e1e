// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tocsin-db/tocsin/spec"
)

// Exit codes for a node that stops on a Fault (after sysexits.h where one fits).
const (
	ExitIO      = 74 // a write to the log or the database failed
	ExitStuck   = 75 // applying hangs, or only a restart can go on: try again
	ExitCorrupt = 76 // local data fails its checksum or does not fit together: resync from the peers
)

// A Fault is a local failure that the node does not survive.
type Fault struct {
	Exit int    // suggested exit code of the process
	Op   string // what was being done
	Err  error
}

func (f *Fault) Error() string { return f.Op + ": " + f.Err.Error() }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// corrupt makes the Fault for local data that is not what was written.
func corrupt(op, format string, args ...any) *Fault {
	return &Fault{Exit: ExitCorrupt, Op: op, Err: spec.Errorf(spec.CodeCorrupt, format, args...)}
}

// failed makes the Fault for an operation that returned err. A Fault in err
// keeps its exit code.
func failed(op string, err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return &Fault{Exit: f.Exit, Op: op, Err: err}
	}
	if spec.CodeOf(err) == spec.CodeCorrupt {
		return &Fault{Exit: ExitCorrupt, Op: op, Err: err}
	}
	return &Fault{Exit: ExitIO, Op: op, Err: err}
}

// A breaker remembers the first fault and, once armed, reports it. After it
// has tripped nothing is written, applied or acknowledged any more.
type breaker struct {
	report func(*Fault) // called once, in its own goroutine, when armed
	armed  atomic.Bool
	once   sync.Once
	down   chan struct{} // closed when tripped
	cause  *Fault        // set before down is closed
}

func newBreaker(report func(*Fault)) *breaker {
	return &breaker{report: report, down: make(chan struct{})}
}

// trip records f if it is the first fault, and returns the first one.
func (b *breaker) trip(f *Fault) *Fault {
	b.once.Do(func() {
		b.cause = f
		close(b.down)
		if b.armed.Load() {
			go b.report(f)
		}
	})
	return b.cause
}

// err returns nil until the breaker has tripped.
func (b *breaker) err() error {
	select {
	case <-b.down:
		return fmt.Errorf("stopped by an earlier fault: %w", b.cause)
	default:
		return nil
	}
}
