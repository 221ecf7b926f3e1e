// SPDX-License-Identifier: Apache-2.0

package node

import "context"

// Purge makes the bytes of erased values disappear from this node's files: the
// raft log first, whose compaction may copy the store, then the store.
func (n *Node) Purge(ctx context.Context) error {
	if n.consensus != nil {
		if err := n.consensus.Erase(ctx); err != nil {
			return err
		}
	}
	return n.store.Purge(ctx)
}
