// SPDX-License-Identifier: Apache-2.0

// Package recovery is the hands of a consortium that lost its quorum of sequencers:
// the file in which members gather their signatures, the database at the checkpoint
// from which they go on, and the proof by which everybody else follows (spec/log.md,
// Recovery).
package recovery
