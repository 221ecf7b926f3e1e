// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A Bootstrapper fills a replica with the state of one snapshot size instead of
// replaying the log up to it: what the reader does in SNAPSHOT.
type Bootstrapper interface {
	// Wanted reports whether a snapshot pays for a replica of have leaves that
	// wants to come to target leaves.
	Wanted(have, target uint64) bool
	// Bootstrap fetches the newest snapshot that the sources keep at or below
	// job.Target, verifies it against job.Target and makes it the replica's state
	// in one step, durable on return. What it verified before a crash it keeps.
	//
	// An error with a spec.Code (GONE, NOT_FOUND, UNAVAILABLE: no source has one)
	// sends the reader to RANGE from where it is; any other is our own fault and
	// ends it. Nothing has changed then.
	Bootstrap(ctx context.Context, job Job) error
}

// A Job is what the reader hands to a Bootstrapper. Its functions may be called by
// many goroutines.
type Job struct {
	// Target is final, verified by the panel, and at or above the mark. The log at
	// the snapshot's size must be proved to be its beginning.
	Target *tlog.Signed
	// Dialer opens streams to sources.
	Dialer Dialer
	// Sources are the upstreams that may be asked now, the best first. It changes
	// as they come, offend and wait: ask again for each piece.
	Sources func() []p2p.PeerID
	// Blame charges a source for err: an offence when err has a code and is not a
	// *p2p.Fault (what it sent did not verify), otherwise an outage or refusal.
	Blame func(p2p.PeerID, error)
	// Accept makes the mark durable: Target as accepted, size as shown. It is called
	// once, before what was installed can be seen, with the snapshot's size and root.
	Accept func(size uint64, root spec.Hash) error
	// Progress is told how many of how many bytes are verified.
	Progress func(done, of uint64)
}
