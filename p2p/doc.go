// SPDX-License-Identifier: Apache-2.0

// Package p2p is the transport between nodes: one libp2p host per node, an
// admission gate that answers "who is enrolled?" from replicated state, framed
// requests with coded errors, and long streams. It knows nothing of what the
// bytes mean. The normative text is spec/wire.md; the reasons are in DESIGN.md.
//
// Deny by default: a peer that the Directory does not know gets no connection,
// and a role that a protocol's Policy does not name gets DENIED, as does all that a peer
// asks that was enrolled once.
package p2p
