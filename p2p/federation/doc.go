// SPDX-License-Identifier: Apache-2.0

// Package federation brings the log to readers and to nodes that lag: one
// ordered long stream per follower, on which the serving node sends every group
// from the follower's size on and then each new one as it is applied. The
// cursor is the log index; the server keeps no queue, so a slow reader only
// reads later. Nothing received is believed here: the Sink verifies.
package federation
