// SPDX-License-Identifier: Apache-2.0

// Package consortia keeps what a node has on disk of the consortia that it follows
// beside its own: a directory for each, with keys, store and mark of its own, and for
// every consortium the import policy, which says what its matches count as at this
// site. Nothing here runs a node.
package consortia
