// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"maps"
	"slices"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// Evidence proves to anyone who has the genesis document that organisations
// cosigned a history that is not the final one.
type Evidence struct {
	_        struct{} `cbor:",toarray"`
	Conflict []byte   // signed note: the other history
	Final    []byte   // signed note: a final checkpoint of the same size or a larger one
	Root     spec.Hash
	Proof    []spec.Hash // that the final log had Root at the size of Conflict
}

// MaxEvidence bounds encoded evidence in bytes.
const MaxEvidence = 2*tlog.MaxNote + 8<<10

// Encode returns the canonical bytes.
func (e *Evidence) Encode() ([]byte, error) { return spec.Encode(e) }

// ParseEvidence is the reverse of Encode.
func ParseEvidence(data []byte) (*Evidence, error) {
	if len(data) > MaxEvidence {
		return nil, spec.Errorf(spec.CodeTooLarge, "evidence is at most %d bytes", MaxEvidence)
	}
	var e Evidence
	if err := spec.Decode(data, &e); err != nil {
		return nil, err
	}
	return &e, nil
}

// Verify returns the organisations that cosigned the other history and the size
// of it, or BAD_PROOF when the evidence shows nothing.
func (e *Evidence) Verify(p *tlog.Chain) (accused []string, size uint64, err error) {
	other, err := p.Open(e.Conflict)
	if err != nil {
		return nil, 0, err
	}
	final, err := p.OpenFinal(e.Final)
	if err != nil {
		return nil, 0, err
	}
	if err := tlog.CheckConsistency(e.Proof, other.Size, e.Root, final.Size, final.Root); err != nil {
		return nil, 0, err
	}
	if e.Root == other.Root || len(other.Cosignatures) == 0 {
		return nil, 0, spec.Errorf(spec.CodeProof, "the two checkpoints belong to one history")
	}
	for i := range other.Cosignatures {
		accused = append(accused, other.Cosignatures[i].Org)
	}
	return accused, other.Size, nil
}

// A conflict is a claim that differs from this node's own log.
type conflict struct {
	claim
	told bool
}

// conflict notes a claim that differs from this node's log. Which of the two is
// wrong is decided by what becomes final. Caller holds mu.
func (c *Cosigner) conflict(org string, cl claim, root spec.Hash) {
	if _, known := c.conflicts[org]; known {
		return
	}
	c.cfg.Logger.Error("a sequencer cosigned another history", "organisation", org, "size", cl.Size, "root", cl.Root.String(), "own root", root.String())
	c.conflicts[org] = conflict{claim: cl}
	same := &tlog.Signed{Checkpoint: cl.checkpoint(c.cfg.Chain.Origin)}
	for other, x := range c.conflicts {
		if x.Size == cl.Size && x.Root == cl.Root {
			same.Cosignatures = append(same.Cosignatures, x.cosignature(other))
		}
	}
	if c.cfg.Chain.Final(same) {
		c.refuse(spec.Errorf(spec.CodeForked, "this node's log differs from the final one at size %d", cl.Size))
	}
}

// twice notes two claims of one organisation for one size: whichever differs from
// this node's log is the conflict.
func (c *Cosigner) twice(org string, a, b claim) {
	root, err := tlog.Root(c.cfg.Log, a.Size)
	if err != nil { // not applied yet, perhaps never: the two by themselves accuse
		if c.cfg.Twice != nil && c.told[org] < maxAgainst {
			c.told[org]++
			c.cfg.Twice(twoRoots(a.said(org), b.said(org)))
		}
		return
	}
	for _, cl := range []claim{a, b} {
		if cl.Root != root {
			c.conflict(org, cl, root)
		}
	}
}

// late compares a claim of a size behind the final one.
func (c *Cosigner) late(org string, cl claim) error {
	root, err := tlog.Root(c.cfg.Log, cl.Size)
	if err == nil && root != cl.Root {
		c.conflict(org, cl, root)
	}
	return err
}

// cry makes evidence of the conflicts that the final log covers. Caller holds mu.
func (c *Cosigner) cry() error {
	final := c.cfg.Final.Signed()
	for _, org := range slices.Sorted(maps.Keys(c.conflicts)) {
		x := c.conflicts[org]
		if x.told || final == nil || final.Size < x.Size || final.Size > c.cfg.Log.Size() || c.cfg.Alarm == nil {
			continue
		}
		e, err := c.evidence(org, x.claim, final)
		if err != nil {
			return err
		}
		x.told = true
		c.conflicts[org] = x
		c.cfg.Alarm(e)
	}
	return nil
}

func (c *Cosigner) evidence(org string, cl claim, final *tlog.Signed) (*Evidence, error) {
	sigs := []tlog.Cosignature{cl.cosignature(org)}
	for other, x := range c.conflicts {
		if other != org && x.Size == cl.Size && x.Root == cl.Root {
			sigs = append(sigs, x.cosignature(other))
		}
	}
	slices.SortFunc(sigs, tlog.Order)
	note, err := c.cfg.Chain.Note(&tlog.Signed{Checkpoint: cl.checkpoint(c.cfg.Chain.Origin), Cosignatures: sigs})
	if err != nil {
		return nil, err
	}
	e := &Evidence{Conflict: note}
	if e.Final, err = c.cfg.Chain.Note(final); err != nil {
		return nil, err
	}
	if e.Root, err = tlog.Root(c.cfg.Log, cl.Size); err != nil {
		return nil, err
	}
	e.Proof, err = tlog.Consistency(c.cfg.Log, cl.Size, final.Size)
	return e, err
}
