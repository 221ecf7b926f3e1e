// SPDX-License-Identifier: Apache-2.0

package tlog

import (
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
// and with which keys they sign; their operations follow on it in the log.
type Recovery struct {
	_           struct{}    `cbor:",toarray"`
	Note        []byte      // the final checkpoint
	Consistency []spec.Hash // that the log of the link goes on from it
	Root        Leaf        // its last leaf, the StateRoot
	Records     []Record    // the clock, the organisations that signed and the sequencers, by key
	Ops         []Leaf      // in the log of the link, from the checkpoint's size on
}

// maxRecoverers bounds the operations of one recovery.
const maxRecoverers = spec.MaxOrganisations

// check verifies a recovery from the panel before to that of a link.
func (r *Recovery) check(before *Panel, l *Link, of *spec.Panel, size uint64) error {
	from, err := before.OpenExact(r.Note)
	if err != nil {
		return err
	}
	to, err := ParseCheckpoint(textOf(l.Note))
	if err != nil {
		return err
	}
	if len(r.Ops) == 0 || len(r.Ops) > maxRecoverers || size != from.Size+uint64(len(r.Ops))+2 {
		return spec.Errorf(spec.CodeRecovery, "something stands between the checkpoint and the panel that goes on from it")
	}
	if err := CheckConsistency(r.Consistency, from.Size, from.Root, size, to.Root); err != nil {
		return err
	}
	rules, err := r.rules(from)
	if err != nil {
		return err
	}
	clock, orgs, err := r.state(rules)
	if err != nil {
		return err
	}
	return r.signers(from, to, clock, orgs, of)
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

// state reads the records that are proved.
func (r *Recovery) state(root spec.Hash) (*spec.Clock, map[string]*spec.OrgRecord, error) {
	clock, orgs := new(spec.Clock), map[string]*spec.OrgRecord{}
	found := false
	for i := range r.Records {
		x := &r.Records[i]
		if err := x.Proof.Check(RulesBits, spec.RulePlace(x.Key), spec.RuleLeaf(x.Key, x.Value), root); err != nil {
			return nil, nil, err
		}
		if string(x.Key) == string(spec.ClockKey) {
			found = true
			if err := spec.DecodeStored(x.Value, clock); err != nil {
				return nil, nil, err
			}
			continue
		}
		o := new(spec.OrgRecord)
		if err := spec.DecodeStored(x.Value, o); err != nil {
			return nil, nil, err
		}
		if string(x.Key) != string(spec.OrgKey(o.Organisation.ID)) {
			return nil, nil, spec.Errorf(spec.CodeRecovery, "a record is not one of those that a recovery follows from")
		}
		orgs[o.Organisation.ID] = o
	}
	if !found {
		return nil, nil, spec.Errorf(spec.CodeRecovery, "the consortium's clock is missing")
	}
	return clock, orgs, nil
}

// signers checks that enough members ask for this panel.
func (r *Recovery) signers(from *Signed, to Checkpoint, clock *spec.Clock, orgs map[string]*spec.OrgRecord, of *spec.Panel) error {
	var asked []string
	var body *spec.Recover
	for i := range r.Ops {
		x := &r.Ops[i]
		if x.Index != from.Size+uint64(i) {
			return spec.Errorf(spec.CodeRecovery, "the operations of a recovery stand in a row")
		}
		if err := CheckInclusion(x.Proof, to.Size, x.Index, to.Root, spec.LeafHash(x.Bytes)); err != nil {
			return err
		}
		op, err := spec.ParseEnvelope(x.Bytes)
		if err != nil {
			return err
		}
		b, ok := op.Body.(*spec.Recover)
		if !ok || body != nil && b.Digest() != body.Digest() || slices.Contains(asked, op.Op.Org) {
			return spec.Errorf(spec.CodeRecovery, "the members do not ask for the same")
		}
		if err := signedBy(op, orgs[op.Op.Org], from.Origin); err != nil {
			return err
		}
		body, asked = b, append(asked, op.Op.Org)
	}
	need := (spec.Fraction{Num: 2, Den: 3}).Of(int(min(clock.Members, maxRecoverers)))
	switch {
	case len(asked) != need:
		return spec.Errorf(spec.CodeRecovery, "%d members ask for the recovery where %d decide", len(asked), need)
	case body.Size != from.Size || body.Root != from.Root || body.Epoch != clock.Epoch+1:
		return spec.Errorf(spec.CodeRecovery, "the members ask to go on from elsewhere")
	}
	seats := 0
	for _, s := range of.Seats {
		if o := orgs[s.Org]; o != nil && slices.Contains(body.Sequencers, s.Org) && o.Organisation.CosignKey == s.Key {
			seats++
		}
	}
	if seats != len(body.Sequencers) || seats != len(of.Seats) || of.K != uint64(Quorum(seats)) {
		return spec.Errorf(spec.CodeRecovery, "the panel is not the one that was asked for")
	}
	return nil
}

// signedBy checks that a member signed an operation with a key in force.
func signedBy(op *spec.Signed, who *spec.OrgRecord, origin string) error {
	if who == nil || who.Organisation.Role != spec.RoleMember {
		return spec.Errorf(spec.CodeRecovery, "only members decide on a recovery")
	}
	for _, k := range who.OpKeys() {
		if k.ID() == op.Op.Key && op.Verify(origin, k) {
			return nil
		}
	}
	return spec.Errorf(spec.CodeSignature, "a signature in the recovery does not hold")
}

// textOf is the text of a note.
func textOf(note []byte) []byte {
	for i := 1; i < len(note); i++ {
		if note[i-1] == '\n' && note[i] == '\n' {
			return note[:i]
		}
	}
	return nil
}
