// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"crypto/ed25519"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// An Equivocation proves to anyone who has the genesis document, and has nothing
// else, that a member cosigned what is not the log: two roots of one size, or a root
// that the final log never had. It is for the members that do not sequence, whose
// cosignatures no panel knows; it holds against any.
type Equivocation struct {
	_          struct{} `cbor:",toarray"`
	Version    uint64
	Org        string
	Key        spec.PublicKey // the member's, that cosigned
	Size       uint64
	Statements []Statement // two of different roots, the smaller root first; or one
	Links      []tlog.Link // to the panel of Note
	Note       []byte      // a final checkpoint, or empty where nothing needs it
	Root       []spec.Hash // of the final log at Size, where there is one statement; else none
	Proof      []spec.Hash // that the final log had it
	State      []tlog.Leaf // the StateRoot under which Record stands, where the genesis document has not the key; else none
	Record     []tlog.Record
}

// A Statement is what a cosignature says of a size.
type Statement struct {
	_    struct{} `cbor:",toarray"`
	Root spec.Hash
	Time uint64 // Unix seconds
	Sig  [ed25519.SignatureSize]byte
}

// EquivocationVersion is the version described here.
const EquivocationVersion = 1

// MaxEquivocation bounds an encoded Equivocation in bytes: it travels in one request.
const MaxEquivocation = 1<<20 - 1<<10

// Encode returns the canonical bytes.
func (e *Equivocation) Encode() ([]byte, error) { return spec.Encode(e) }

// ParseEquivocation is the reverse of Encode. What it returns is not verified.
func ParseEquivocation(data []byte) (*Equivocation, error) {
	if len(data) > MaxEquivocation {
		return nil, spec.Errorf(spec.CodeTooLarge, "an equivocation is at most %d bytes", MaxEquivocation)
	}
	var e Equivocation
	if err := spec.Decode(data, &e); err != nil {
		return nil, err
	}
	if e.Version != EquivocationVersion {
		return nil, spec.Errorf(spec.CodeVersion, "version %d of an equivocation is not known here", e.Version)
	}
	if len(e.Statements) > 2 || len(e.Links) > tlog.MaxLinks || len(e.Root) > 1 || len(e.State) > 1 || len(e.Record) > 1 || len(e.Proof) > tlog.MaxProof {
		return nil, spec.Errorf(spec.CodeTooLarge, "an equivocation has more parts than one needs")
	}
	return &e, nil
}

var errNoEquivocation = spec.Errorf(spec.CodeProof, "this proves no equivocation")

// Verify fails with BAD_PROOF when the equivocation shows nothing, or has parts that
// nothing follows from, or with the code of the part that does not hold.
func (e *Equivocation) Verify(g *spec.Genesis) error {
	if err := e.statements(g.Origin()); err != nil {
		return err
	}
	founder := e.founder(g)
	if len(e.Statements) == 2 && founder {
		if len(e.Links)+len(e.Note)+len(e.Root)+len(e.Proof)+len(e.State)+len(e.Record) > 0 {
			return errNoEquivocation
		}
		return nil
	}
	chain, final, err := e.final(g)
	if err != nil {
		return err
	}
	if err := e.other(chain, final); err != nil || founder {
		if founder && len(e.State)+len(e.Record) > 0 {
			return errNoEquivocation
		}
		return err
	}
	return e.enrolled(final)
}

// statements checks that the key made them, of different roots.
func (e *Equivocation) statements(origin string) error {
	if e.Size == 0 || e.Size > tlog.MaxSize || len(e.Statements) == 0 || len(e.Statements) > 2 {
		return errNoEquivocation
	}
	for i := range e.Statements {
		s := &e.Statements[i]
		sig := tlog.Cosignature{Org: e.Org, Key: e.Key, Time: s.Time, Sig: s.Sig}
		if !sig.Holds(tlog.Checkpoint{Origin: origin, Size: e.Size, Root: s.Root}) {
			return spec.Errorf(spec.CodeCheckpoint, "a cosignature does not hold")
		}
		if i > 0 && bytes.Compare(e.Statements[i-1].Root[:], s.Root[:]) >= 0 {
			return errNoEquivocation
		}
	}
	return nil
}

// founder reports whether the genesis document has the key as the member's.
func (e *Equivocation) founder(g *spec.Genesis) bool {
	o, ok := g.Member(e.Org)
	return ok && o.Role == spec.RoleMember && o.CosignKey == e.Key
}

// final follows the hand-offs to the panel of the final checkpoint, no further.
func (e *Equivocation) final(g *spec.Genesis) (*tlog.Chain, *tlog.Signed, error) {
	chain, err := tlog.NewChain(g)
	if err != nil {
		return nil, nil, err
	}
	for i := range e.Links {
		if err := chain.Add(&e.Links[i]); err != nil {
			return nil, nil, err
		}
	}
	s, err := chain.OpenExact(e.Note)
	if err != nil {
		return nil, nil, err
	}
	if _, size, _ := chain.Panel(uint64(len(e.Links))); chain.Number() != uint64(len(e.Links)) || size > s.Size {
		return nil, nil, errNoEquivocation
	}
	return chain, s, nil
}

// other checks that one statement differs from what the final log had. Behind a
// checkpoint from which a recovery went on that shows nothing: whoever had not heard
// of it spoke of the log that was discarded.
func (e *Equivocation) other(chain *tlog.Chain, final *tlog.Signed) error {
	if len(e.Statements) == 2 {
		if len(e.Root)+len(e.Proof) > 0 {
			return errNoEquivocation
		}
		return nil
	}
	if len(e.Root) != 1 || e.Root[0] == e.Statements[0].Root || chain.Discards(e.Size) {
		return errNoEquivocation
	}
	return tlog.CheckConsistency(e.Proof, e.Size, e.Root[0], final.Size, final.Root)
}

// enrolled checks that the state has the key as that of a member, or of one that was.
func (e *Equivocation) enrolled(final *tlog.Signed) error {
	if len(e.State) != 1 || len(e.Record) != 1 {
		return spec.Errorf(spec.CodeKey, "nothing shows that the key is one of %s", e.Org)
	}
	leaf, r := &e.State[0], &e.Record[0]
	if err := tlog.CheckInclusion(leaf.Proof, final.Size, leaf.Index, final.Root, spec.LeafHash(leaf.Bytes)); err != nil {
		return err
	}
	parsed, err := spec.ParseLeaf(leaf.Bytes)
	if err != nil {
		return err
	}
	if parsed.StateRoot == nil || parsed.StateRoot.SizeBefore != leaf.Index {
		return errNoEquivocation
	}
	if err := r.Proof.Check(tlog.RulesBits, spec.RulePlace(r.Key), spec.RuleLeaf(r.Key, r.Value), parsed.StateRoot.RulesRoot); err != nil {
		return err
	}
	var who spec.OrgRecord
	switch {
	case bytes.Equal(r.Key, spec.OrgKey(e.Org)):
		err = spec.Decode(r.Value, &who)
	case bytes.Equal(r.Key, spec.FormerKey(e.Org)):
		var former spec.FormerRecord
		err = spec.Decode(r.Value, &former)
		who = former.Enrolled
	}
	if err == nil && (who.Organisation.ID != e.Org || who.Organisation.Role != spec.RoleMember || who.Organisation.CosignKey != e.Key) {
		err = spec.Errorf(spec.CodeKey, "the key is not one of the member %s", e.Org)
	}
	return err
}
