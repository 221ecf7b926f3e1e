// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"

	"github.com/tocsin-db/tocsin/spec"
)

// A Source is the final log that a node serves from. Its methods are called by
// many streams at once.
type Source interface {
	// Final returns the newest final checkpoint of which the log is held to its end:
	// its size, and the signed note. Size 0 with no note while there is none.
	Final() (size uint64, note []byte)
	// Read returns whole groups from the leaf at index from, which begins a
	// group: at least one when there is one, and as many more as fit in
	// maxBytes, none beyond Final. Openings are those that role may see. It fails
	// with GONE when the groups are not kept, and with NOT_FOUND when none begins there.
	Read(ctx context.Context, role string, from uint64, maxBytes int) ([]Group, error)
	// Prove is the RFC 6962 consistency proof that the log of size leaves begins
	// with that of old leaves.
	Prove(old, size uint64) ([]spec.Hash, error)
	// Wait returns nil once the size of Final is above size, else ctx's error.
	Wait(ctx context.Context, size uint64) error
}
