// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"slices"
	"time"
)

// A Directory tells who may connect and as what. The node answers it from
// replicated state (and from its invitation, before it has any); what it does
// not know has no role and is refused. It is asked on every connection and
// stream, from many goroutines, and must not block. The same holds for
// Policy.Allow.
type Directory interface {
	Role(id PeerID) (role string, ok bool)
}

// AnyRole in Policy.Roles stands for every role that the Directory gives.
const AnyRole = "*"

// RoleFormer is the role of a peer that was enrolled and is no more. No Policy admits it.
// It may connect, for as long as it takes to hear so: all that it asks is DENIED.
const RoleFormer = "former"

// Default limits of a Policy, from spec/wire.md.
const (
	DefaultStreams = 4                // open at once, per protocol and peer
	DefaultTimeout = 30 * time.Second // of one request's handler
)

// A Policy says who may call a protocol and how much. Its zero value admits
// nobody.
type Policy struct {
	Roles      []string          // that may call; empty: nobody
	Allow      func(PeerID) bool // a further condition, or nil
	MaxRequest int               // bytes of one request, or of a frame that comes in on a long stream; 0: MaxFrame
	MaxStreams int               // open at once per peer, then BUSY; 0: DefaultStreams
	Timeout    time.Duration     // of one request's handler; 0: DefaultTimeout
}

func (p Policy) admits(id PeerID, role string) bool {
	named := slices.Contains(p.Roles, role) || slices.Contains(p.Roles, AnyRole)
	return named && role != RoleFormer && (p.Allow == nil || p.Allow(id))
}

func (p Policy) withDefaults() Policy {
	if p.MaxRequest <= 0 || p.MaxRequest > MaxFrame {
		p.MaxRequest = MaxFrame
	}
	if p.MaxStreams <= 0 {
		p.MaxStreams = DefaultStreams
	}
	if p.Timeout <= 0 {
		p.Timeout = DefaultTimeout
	}
	return p
}
