// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"bytes"
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// A Leaf of a log with the proof that it stands there.
type Leaf struct {
	_     struct{} `cbor:",toarray"`
	Index uint64
	Bytes []byte
	Proof []spec.Hash
}

// A Record of the rules' state with the proof that it stands there.
type Record struct {
	_     struct{} `cbor:",toarray"`
	Key   []byte
	Value []byte
	Proof BucketProof
}

// A Recovery proves that enough members decided to go on from a final checkpoint
// with another panel: the state at that checkpoint says how many members there are
// and with which keys they sign; their operations follow on it in the log, and
// nothing else does before the leaf of the panel. It is good exactly where the rules
// carry the recovery out, but for one thing that takes the whole state: that a
// cosign key which is new to its member is nobody else's.
type Recovery struct {
	_           struct{}    `cbor:",toarray"`
	Note        []byte      // the final checkpoint
	Consistency []spec.Hash // that the log of the link goes on from it
	Root        Leaf        // its last leaf, the StateRoot
	Records     []Record    // the clock, the organisations that signed and the sequencers, by key
	Ops         []Leaf      // in the log of the link, from the checkpoint's size on
}

// check verifies a recovery from the panel that made its checkpoint final to the one
// that takes over at the checkpoint to.
func (r *Recovery) check(before *Panel, to *Signed, of *spec.Panel) error {
	from, err := before.OpenExact(r.Note)
	if err != nil {
		return err
	}
	if len(r.Ops) == 0 || to.Size != from.Size+uint64(len(r.Ops))+2 {
		return spec.Errorf(spec.CodeRecovery, "something stands between the checkpoint and the panel that goes on from it")
	}
	if err := CheckConsistency(r.Consistency, from.Size, from.Root, to.Size, to.Root); err != nil {
		return err
	}
	rules, err := r.rules(from)
	if err != nil {
		return err
	}
	st, err := r.state(rules)
	if err != nil {
		return err
	}
	body, err := r.asked(from, to, st)
	if err != nil {
		return err
	}
	return st.seats(body, of)
}

// rules is rules_root at the checkpoint.
func (r *Recovery) rules(from *Signed) (spec.Hash, error) {
	leaf, err := spec.ParseLeaf(r.Root.Bytes)
	if err != nil {
		return spec.Hash{}, err
	}
	if leaf.StateRoot == nil || r.Root.Index != from.Size-1 {
		return spec.Hash{}, spec.Errorf(spec.CodeRecovery, "the checkpoint's last leaf is not the root of the state")
	}
	return leaf.StateRoot.RulesRoot, CheckInclusion(r.Root.Proof, from.Size, r.Root.Index, from.Root, spec.LeafHash(r.Root.Bytes))
}

// recoveryState is what of the state at the checkpoint a recovery follows from.
type recoveryState struct {
	clock spec.Clock
	orgs  map[string]*spec.OrgRecord
}

// state reads the records that are proved. None is left out or there twice.
func (r *Recovery) state(root spec.Hash) (*recoveryState, error) {
	st := &recoveryState{orgs: map[string]*spec.OrgRecord{}}
	found := false
	for i := range r.Records {
		x := &r.Records[i]
		if i > 0 && bytes.Compare(r.Records[i-1].Key, x.Key) >= 0 {
			return nil, spec.Errorf(spec.CodeRecovery, "the records of a recovery stand in the order of their keys")
		}
		if err := x.Proof.Check(RulesBits, spec.RulePlace(x.Key), spec.RuleLeaf(x.Key, x.Value), root); err != nil {
			return nil, err
		}
		if bytes.Equal(x.Key, spec.ClockKey) {
			found = true
			if err := spec.DecodeStored(x.Value, &st.clock); err != nil {
				return nil, err
			}
			continue
		}
		o := new(spec.OrgRecord)
		if len(x.Key) == 0 || x.Key[0] != spec.OrgPrefix[0] {
			return nil, spec.Errorf(spec.CodeRecovery, "a record is not one of those that a recovery follows from")
		}
		if err := spec.DecodeStored(x.Value, o); err != nil {
			return nil, err
		}
		if !bytes.Equal(x.Key, spec.OrgKey(o.Organisation.ID)) {
			return nil, spec.Errorf(spec.CodeRecovery, "a record is not one of those that a recovery follows from")
		}
		st.orgs[o.Organisation.ID] = o
	}
	if !found || st.clock.TimeMS == 0 {
		return nil, spec.Errorf(spec.CodeRecovery, "the consortium's clock is missing or never went")
	}
	return st, nil
}

// asked checks that just as many members as decide ask for the same, in a row that
// begins at the checkpoint, and returns it.
func (r *Recovery) asked(from, to *Signed, st *recoveryState) (*spec.Recover, error) {
	var by []string
	var body *spec.Recover
	for i := range r.Ops {
		x := &r.Ops[i]
		if x.Index != from.Size+uint64(i) {
			return nil, spec.Errorf(spec.CodeRecovery, "the operations of a recovery stand in a row")
		}
		if err := CheckInclusion(x.Proof, to.Size, x.Index, to.Root, spec.LeafHash(x.Bytes)); err != nil {
			return nil, err
		}
		op, err := spec.ParseEnvelope(x.Bytes)
		if err != nil {
			return nil, err
		}
		b, ok := op.Body.(*spec.Recover)
		if !ok || body != nil && b.Digest() != body.Digest() || slices.Contains(by, op.Op.Org) {
			return nil, spec.Errorf(spec.CodeRecovery, "the members do not ask for the same")
		}
		if err := st.signed(op, from.Origin); err != nil {
			return nil, err
		}
		body, by = b, append(by, op.Op.Org)
	}
	need := spec.RecoveryQuorum(st.clock.Members)
	switch {
	case len(by) != need:
		return nil, spec.Errorf(spec.CodeRecovery, "%d members ask for the recovery where %d decide", len(by), need)
	case body.Size != from.Size || body.Root != from.Root || body.Epoch != st.clock.Epoch+1:
		return nil, spec.Errorf(spec.CodeRecovery, "the members ask to go on from elsewhere")
	}
	return body, nil
}

// seats checks that a panel is the one that was asked for, of members.
func (st *recoveryState) seats(body *spec.Recover, of *spec.Panel) error {
	for _, s := range body.Seats {
		if o := st.orgs[s.Org]; o == nil || o.Organisation.Role != spec.RoleMember {
			return spec.Errorf(spec.CodeRecovery, "a sequencer is a member")
		}
	}
	if of.Number != st.clock.Panel+1 || !slices.Equal(of.Seats, body.Seats) || of.K != uint64(Quorum(len(body.Seats))) {
		return spec.Errorf(spec.CodeRecovery, "the panel is not the one that was asked for")
	}
	return nil
}

// signed checks that a member signed an operation of the epoch in force, with a key
// in force and as operations of a recovery are written.
func (st *recoveryState) signed(op *spec.Signed, origin string) error {
	who := st.orgs[op.Op.Org]
	if who == nil || who.Organisation.Role != spec.RoleMember {
		return spec.Errorf(spec.CodeRecovery, "only members decide on a recovery")
	}
	if op.Op.Seq != 0 || op.Op.MadeMS != 0 || op.Op.Epoch != st.clock.Epoch || !slices.Contains(st.clock.Schemas, op.Op.Version) {
		return spec.Errorf(spec.CodeRecovery, "an operation of the recovery is not of this epoch, or has a number or a time")
	}
	for _, k := range who.OpKeys() {
		if k.ID() == op.Op.Key {
			if !op.Verify(origin, k) {
				break
			}
			return nil
		}
	}
	return spec.Errorf(spec.CodeSignature, "a signature in the recovery does not hold")
}
