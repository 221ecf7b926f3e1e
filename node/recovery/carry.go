// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"errors"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

// Carry carries a recovery out on a store that stands just at its checkpoint. before
// is called with the proof of it, which lacks nothing but the new panel's
// cosignatures, before anything is committed; applied says with which place in raft.
// Where the rules refuse, or too few signed, nothing changes.
func Carry(st *storage.Store, f *File, applied func(*storage.Tx) (storage.Applied, error), before func(number uint64, r *tlog.Recovery) error) error {
	proof, err := Prove(st, f.Note, append(f.Signers(), f.Body.Sequencers()...))
	if err != nil {
		return err
	}
	tx, err := st.Begin()
	if err != nil {
		return err
	}
	defer tx.Drop()
	g := &group{Tx: tx}
	row, panel, err := g.enter(f)
	if err != nil {
		return err
	}
	at, err := applied(tx)
	if err != nil {
		return err
	}
	log, err := grown(st, f.Body.Size, g.leaves)
	if err != nil {
		return err
	}
	if err := Complete(proof, log, f.Body.Size, tx.Size(), row); err != nil {
		return err
	}
	if err := before(panel, proof); err != nil {
		return err
	}
	return errors.Join(tx.Commit(at), st.Sync())
}

// A group is a batch that remembers the leaves that it appends.
type group struct {
	*storage.Tx
	leaves [][]byte
}

// Append implements governance.Ledger.
func (g *group) Append(leaf []byte) error {
	g.leaves = append(g.leaves, leaf)
	return g.Tx.Append(leaf)
}

// enter applies the row, as many operations as decide, by organisation, and returns
// it with the number of the panel.
func (g *group) enter(f *File) ([][]byte, uint64, error) {
	var clock spec.Clock
	b, err := g.Record(spec.ClockKey)
	if err == nil {
		err = spec.DecodeStored(b, &clock)
	}
	if err != nil {
		return nil, 0, err
	}
	need := spec.RecoveryQuorum(clock.Members)
	if len(f.Signed) < need {
		return nil, 0, spec.Errorf(spec.CodeRecovery, "%d of %d members signed where %d decide", len(f.Signed), clock.Members, need)
	}
	row := f.Signed[:need]
	var subs []governance.Parsed
	for _, env := range row {
		subs = append(subs, governance.Parse(&spec.Submission{Envelope: env}))
	}
	out, err := governance.ApplyEntry(g, nil, subs)
	if err != nil {
		return nil, 0, err
	}
	for i := range out {
		if err := out[i].Err(); err != nil {
			return nil, 0, err
		}
	}
	p, err := governance.PanelInForce(g)
	if err == nil && (p.From != f.Body.Size || p.Size != g.Size()) {
		err = spec.Errorf(spec.CodeRecovery, "the rules do not carry this recovery out")
	}
	return row, p.Panel.Number, err
}

// grown is the hashes of a store's log with further leaves behind it.
func grown(st *storage.Store, size uint64, leaves [][]byte) (tlog.Hashes, error) {
	h := &extended{below: st, own: map[[2]uint64]spec.Hash{}}
	edge := tlog.Edge{Size: size}
	for _, p := range tlog.EdgePlaces(size) {
		hash, err := st.LogHash(p.Level, p.Index)
		if err != nil {
			return nil, err
		}
		edge.Hashes = append(edge.Hashes, hash)
	}
	for _, l := range leaves {
		edge.Append(spec.LeafHash(l), func(level int, i uint64, hash spec.Hash) { h.own[[2]uint64{uint64(level), i}] = hash })
	}
	return h, nil
}

type extended struct {
	below tlog.Hashes
	own   map[[2]uint64]spec.Hash
}

// LogHash implements tlog.Hashes.
func (h *extended) LogHash(level int, index uint64) (spec.Hash, error) {
	if own, ok := h.own[[2]uint64{uint64(level), index}]; ok {
		return own, nil
	}
	return h.below.LogHash(level, index)
}
