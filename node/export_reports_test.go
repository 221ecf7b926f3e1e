// SPDX-License-Identifier: Apache-2.0

package node

import "context"

// AwaitSize returns once the log has more than size leaves here.
func (n *Node) AwaitSize(ctx context.Context, size uint64) error { return n.store.Wait(ctx, size) }
