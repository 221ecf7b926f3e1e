// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"io"

	"github.com/tocsin-db/tocsin/spec"
)

// A Store is the replicated state that consensus drives. ApplyGroup and Import
// never run at the same time as each other; Applied, Sync and Export may be
// called at any time, also while ApplyGroup runs.
type Store interface {
	// Applied returns what the live database holds. The zero Applied means an
	// empty database.
	Applied() Applied

	// ApplyGroup applies the commands in order and writes all their effects
	// and upto in one atomic batch, visible when it returns and durable after
	// the next Sync. It returns one slice of outcomes per command, with one
	// Outcome per submission of the entry. cmds may be empty: then only upto
	// is recorded. An error is a local fault and stops the node.
	ApplyGroup(cmds []Command, upto Applied) ([][]spec.Outcome, error)

	// Worked is a count that grows with every small step of an ApplyGroup: one during
	// which it stands still for seconds hangs. It may be called at any time.
	Worked() uint64

	// Sync makes everything applied so far durable before it returns.
	Sync() error

	// Export returns the live database as one stream of size bytes, framed
	// with checksums, and what it holds. What it holds is durable here before
	// Export returns. The caller closes r.
	Export() (meta Applied, size int64, r io.ReadCloser, err error)

	// Import verifies the stream of another node's Export and then replaces
	// the live database in one step, durable on return, with meta as what it
	// holds. On an error the old database is untouched.
	Import(r io.Reader, meta Applied) error
}

// Applied says how far a database is: the last raft entry in it, and the raft
// configuration that was in force there.
type Applied struct {
	Index     uint64 // of the last entry applied
	Term      uint64 // of that entry
	Conf      []byte // the latest configuration at Index, as raft encodes it
	ConfIndex uint64 // index of the entry that set Conf
}

// A Command is one raft entry to apply: Data is an encoded spec.RaftEntry as
// the leader proposed it, checked for bit rot but not for its meaning.
type Command struct {
	Index uint64
	Data  []byte
}
