// SPDX-License-Identifier: Apache-2.0

package spec

import "crypto/sha256"

// Recover asks to go on from a final checkpoint with other sequencers, when too
// few of those in force are left to make anything final. It takes effect, without
// a case, once two thirds of the members ask for the same in a row of leaves that
// begins where the checkpoint ends.
type Recover struct {
	_          struct{} `cbor:",toarray"`
	Size       uint64   // of the checkpoint
	Root       Hash     // of the log at that size
	Sequencers []string // sorted ids of members; they count from here on
	Epoch      uint64   // that begins: one more than the one in force
}

// Kind implements Body.
func (*Recover) Kind() uint64 { return KindRecover }

// TextHashes implements Body.
func (*Recover) TextHashes() [][]byte { return nil }

// Check implements Body.
func (r *Recover) Check() error {
	if r.Size == 0 || r.Epoch == 0 {
		return Errorf(CodeMalformed, "a recovery goes on from a checkpoint and begins an epoch")
	}
	if len(r.Sequencers) == 0 || len(r.Sequencers) > MaxSequencers {
		return Errorf(CodePolicy, "a recovery names 1 to %d sequencers", MaxSequencers)
	}
	for i, id := range r.Sequencers {
		if !orgID.MatchString(id) || i > 0 && r.Sequencers[i-1] >= id {
			return Errorf(CodePolicy, "sequencers are ids of members, sorted, each once")
		}
	}
	return nil
}

// Digest names what is asked for.
func (r *Recover) Digest() Hash { return sha256.Sum256(mustEncode(r)) }
