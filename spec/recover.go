// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"crypto/sha256"
	"slices"
)

// Recover asks to go on from a final checkpoint with other sequencers, when too
// few of those in force are left to make anything final. It takes effect, without
// a case, once two thirds of the members ask for the same in a row of leaves that
// begins where the checkpoint ends. Its operation has sequence number and time of
// making 0: size, root and epoch bind it, and an organisation signs the same bytes
// however often it signs.
type Recover struct {
	_     struct{} `cbor:",toarray"`
	Size  uint64   // of the checkpoint
	Root  Hash     // of the log at that size
	Seats []Seat   // of the panel that takes over, by organisation
	Epoch uint64   // that begins: one more than the one in force
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
	if len(r.Seats) == 0 || len(r.Seats) > MaxSequencers {
		return Errorf(CodePolicy, "a recovery names 1 to %d sequencers", MaxSequencers)
	}
	for i := range r.Seats {
		s := &r.Seats[i]
		if !orgID.MatchString(s.Org) || i > 0 && r.Seats[i-1].Org >= s.Org {
			return Errorf(CodePolicy, "sequencers are ids of members, sorted, each once")
		}
		if slices.ContainsFunc(r.Seats[:i], func(x Seat) bool { return x.Key == s.Key }) {
			return Errorf(CodePolicy, "two sequencers of a recovery cosign with one key")
		}
		if err := s.Key.Check(); err != nil {
			return err
		}
	}
	return nil
}

// Sequencers lists the organisations that are named, sorted.
func (r *Recover) Sequencers() []string {
	ids := make([]string, len(r.Seats))
	for i := range r.Seats {
		ids[i] = r.Seats[i].Org
	}
	return ids
}

// Digest names what is asked for.
func (r *Recover) Digest() Hash { return sha256.Sum256(mustEncode(r)) }

// RecoveryQuorum is how many of n members recover a log whose sequencers were
// lost: two thirds, whatever the policy.
func RecoveryQuorum(n uint64) int { return Fraction{Num: 2, Den: 3}.Of(int(min(n, 1<<31))) }
