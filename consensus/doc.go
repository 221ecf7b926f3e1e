// SPDX-License-Identifier: Apache-2.0

// Package consensus keeps the sequencers' databases in the same order: it runs
// raft around a replicated state that it knows only as a [Store], and packs
// what organisations submit into raft entries on the leader.
//
// Three rules hold everywhere in it. The live database is the only snapshot,
// so there is no second truth about what was applied. An entry is applied at
// most once, whatever crashes. A local fault (a failed write, a checksum that
// does not match, a rule that could not be committed) stops the node: nothing
// is applied or acknowledged after it.
//
// What an entry means is decided by the Store that the node plugs in; see
// consensus/governance for the rules.
package consensus
