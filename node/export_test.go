// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"

	"github.com/tocsin-db/tocsin/spec"
)

// Carry hands a submission over as it is, as a hostile organisation would.
func (n *Node) Carry(ctx context.Context, sub spec.Submission) (spec.Outcome, error) {
	return n.carry(ctx, sub)
}

// Propose bypasses the check at submission, as a leader that lets all through.
func (n *Node) ProposeUnchecked(ctx context.Context, sub spec.Submission) (spec.Outcome, error) {
	return n.consensus.Submit(ctx, sub)
}

// FreshnessOf is what answers say of the log that they rest on.
var FreshnessOf = freshnessOf

// Leads reports whether this node leads.
func (n *Node) Leads() bool { return n.consensus != nil && n.consensus.IsLeader() }
