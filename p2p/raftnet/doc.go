// SPDX-License-Identifier: Apache-2.0

// Package raftnet carries hashicorp/raft over the host's streams. A server's id
// and address are both its peer id. The transport refuses to send
// AppendEntries while the node's own log append hangs, so that a leader whose
// disk is stuck loses its leadership instead of keeping it by heartbeats alone.
package raftnet
