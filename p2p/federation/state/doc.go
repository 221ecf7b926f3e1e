// SPDX-License-Identifier: Apache-2.0

// Package state carries the state at snapshot sizes between nodes (spec/sync.md,
// /tocsin/state/1): the server answers for the snapshots that its node keeps; the
// reader fetches one from several sources at once, each piece of which is verified
// alone, and has it installed; a repairer asks for hashes and single chunks.
package state
