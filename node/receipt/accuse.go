// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"context"

	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// Accuse completes an equivocation of which Org, Key, Size and Statements are set: it
// adds what shows that the key is the member's and, of one statement, what the final
// log had. It waits until the state that shows it is final.
func (m *Maker) Accuse(ctx context.Context, e *cosign.Equivocation) error {
	o, ok := m.Genesis.Member(e.Org)
	founder := ok && o.CosignKey == e.Key
	if founder && len(e.Statements) == 2 {
		return nil
	}
	size, wait := uint64(0), e.Size
	if !founder {
		var err error
		if size, err = m.enrolled(e); err != nil {
			return err
		}
		if wait = max(wait, size); len(e.Statements) == 2 {
			wait = size // the log need not come to theirs
		}
	}
	if err := m.Final.Wait(ctx, wait-1); err != nil {
		return spec.Errorf(spec.CodeNotFinal, "the log is not final up to %d yet: %w", wait, err)
	}
	final := m.Final.Signed()
	var err error
	if e.Note, err = m.Chain.Note(final); err != nil {
		return err
	}
	if e.Links, err = m.Chain.Links(final.Size); err != nil {
		return err
	}
	if !founder {
		if e.State, err = m.stateRoot(size, final.Size); err != nil {
			return err
		}
	}
	if len(e.Statements) == 2 {
		return nil
	}
	root, err := tlog.Root(m.Store, e.Size)
	if err != nil {
		return err
	}
	e.Root = []spec.Hash{root}
	e.Proof, err = tlog.Consistency(m.Store, e.Size, final.Size)
	return err
}

// enrolled proves the record of the organisation and returns the size as of which it
// is proved.
func (m *Maker) enrolled(e *cosign.Equivocation) (uint64, error) {
	for _, key := range [][]byte{spec.OrgKey(e.Org), spec.FormerKey(e.Org)} {
		p, err := m.Store.Prove([][]byte{key}, spec.Hash{}, spec.Hash{})
		if err != nil {
			return 0, err
		}
		for _, r := range p.Records {
			e.Record = []tlog.Record{{Key: r.Key, Value: r.Value, Proof: *r.Proof}}
			return p.Size, nil
		}
	}
	return 0, spec.Errorf(spec.CodeOrg, "%s is not known here", e.Org)
}

// stateRoot proves that the last leaf of a size, a StateRoot, stands in the final log.
func (m *Maker) stateRoot(size, final uint64) ([]tlog.Leaf, error) {
	l := tlog.Leaf{Index: size - 1}
	var err error
	if l.Bytes, err = (&draft{Maker: m}).leaf(l.Index); err == nil {
		l.Proof, err = tlog.Inclusion(m.Store, final, l.Index)
	}
	return []tlog.Leaf{l}, err
}
