// SPDX-License-Identifier: Apache-2.0

// Package cosign makes the log final. Sequencers cosign the sizes that the leader
// names, each only what it recomputed itself and only after noting it durably in a
// store of its own; k cosignatures at one size make a checkpoint final, and
// whoever follows the log shows nothing else (spec/log.md).
package cosign
