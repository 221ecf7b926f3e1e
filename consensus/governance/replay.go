// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"bytes"
	"maps"
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// Replay applies the leaves that one raft entry put on the log, as another node
// sent them, with the openings that they need by id of the operation. Every
// signature is checked and every derived leaf recomputed: REPLAY_MISMATCH, or the
// code of the operation's refusal, means that the sender is wrong, and the ledger
// must be dropped.
func Replay(l Ledger, leaves [][]byte, openings map[spec.Hash]*spec.Opening) error {
	parsed := make([]spec.Leaf, len(leaves))
	for i, b := range leaves {
		leaf, err := spec.ParseLeaf(b)
		if err != nil {
			return err
		}
		parsed[i] = leaf
	}
	if len(parsed) == 0 || parsed[len(parsed)-1].StateRoot == nil {
		return mismatch("a group of leaves ends with the root of the state")
	}
	r := &recorder{Ledger: l, want: leaves}
	if t := parsed[0].Tick; t != nil {
		if err := tick(r, &t.Checkpoint); err != nil {
			return err
		}
		if len(r.want) == len(leaves) {
			return mismatch("the checkpoint of a tick may not move log time")
		}
	}
	if err := holdEarlier(r, parsed, openings); err != nil {
		return err
	}
	room := maxWeight
	for i, leaf := range parsed {
		if leaf.Signed == nil {
			continue
		}
		if room <= 0 {
			return mismatch("a group changes more signals than it may")
		}
		var out spec.Outcome
		size := r.Size()
		b := Beside{Opening: openings[leaf.Signed.ID], Attested: true, Admission: parsed[i+1].Admission}
		if err := applyOne(r, leaf.Signed, b, &room, &out); err != nil {
			return err
		}
		if r.Size() == size {
			return mismatch("an operation stands in the log twice")
		}
		if err := r.check(); err != nil {
			return err
		}
	}
	return replayRoot(r, parsed[len(parsed)-1].StateRoot)
}

func mismatch(what string) error {
	return spec.Errorf(spec.CodeReplica, "the log does not follow the rules: %s", what)
}

// holdEarlier keeps openings of additions that earlier groups proposed.
func holdEarlier(l Ledger, parsed []spec.Leaf, openings map[spec.Hash]*spec.Opening) error {
	here := map[spec.Hash]bool{}
	for _, leaf := range parsed {
		if leaf.Signed != nil {
			here[leaf.Signed.ID] = true
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(openings), compareIDs) {
		if here[id] {
			continue
		}
		var c spec.Case
		found, err := load(l, spec.CaseKey(id), &c)
		if err != nil {
			return err
		}
		if !found || c.Kind != spec.KindProposal {
			return spec.Errorf(spec.CodeMismatch, "an opening belongs to no addition")
		}
		p, err := content(l, id, new(spec.Proposal))
		if err != nil {
			return err
		}
		if err := p.Matches(openings[id], true); err != nil {
			return err
		}
		if err := l.Hold(id, openings[id]); err != nil {
			return err
		}
	}
	return nil
}

// replayRoot compares the received root of the state with the computed one. The
// live root of a size whose values were erased since is attested, not computed.
func replayRoot(r *recorder, got *spec.StateRoot) error {
	if err := turn(r); err != nil {
		return err
	}
	want, known, err := stateRoot(r)
	if err != nil {
		return err
	}
	if !known {
		want.LiveRoot = got.LiveRoot
	}
	b, err := spec.Encode(want)
	if err != nil {
		return err
	}
	if err := r.Append(b); err != nil {
		return err
	}
	if len(r.want) != 0 {
		return mismatch("a leaf was left over")
	}
	return r.check()
}

// recorder compares each leaf that the rules append with the one received.
type recorder struct {
	Ledger
	want    [][]byte
	differs bool
}

func (r *recorder) Append(leaf []byte) error {
	if len(r.want) == 0 || !bytes.Equal(leaf, r.want[0]) {
		r.differs = true // told by check: the rules take an error here for a fault
	}
	r.want = r.want[min(1, len(r.want)):]
	return r.Ledger.Append(leaf)
}

func (r *recorder) check() error {
	if r.differs {
		return mismatch("a leaf differs from the one that the rules derive")
	}
	return nil
}

func compareIDs(a, b spec.Hash) int { return bytes.Compare(a[:], b[:]) }
