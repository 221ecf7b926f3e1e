// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"bytes"
	"slices"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

// Prove begins the proof of a recovery on a store that stands just at the checkpoint
// from which it goes on, whose note is given: what of the state says how many
// members decide, and with which keys the organisations sign and sit.
func Prove(st *storage.Store, note []byte, orgs []string) (*tlog.Recovery, error) {
	size := st.Size()
	keys := [][]byte{spec.ClockKey}
	for _, id := range orgs {
		keys = append(keys, spec.OrgKey(id))
	}
	slices.SortFunc(keys, bytes.Compare)
	state, err := st.Prove(slices.CompactFunc(keys, bytes.Equal), spec.Hash{}, spec.Hash{})
	if err != nil {
		return nil, err
	}
	if size == 0 || state.Size != size {
		return nil, spec.Errorf(spec.CodeRecovery, "the log has %d leaves, and grew meanwhile to %d", size, state.Size)
	}
	r := &tlog.Recovery{Note: note, Root: tlog.Leaf{Index: size - 1}}
	for _, x := range state.Records {
		r.Records = append(r.Records, tlog.Record{Key: x.Key, Value: x.Value, Proof: *x.Proof})
	}
	leaves, err := st.Leaves(size-1, 1)
	if err != nil || len(leaves) != 1 {
		return nil, spec.Errorf(spec.CodeCorrupt, "the last leaf of the log cannot be read: %w", err)
	}
	r.Root.Bytes = leaves[0]
	r.Root.Proof, err = tlog.Inclusion(st, size, size-1)
	return r, err
}

// Complete adds to the proof of a recovery from a size that the row of operations
// stands in the log of a larger size, and nothing between.
func Complete(r *tlog.Recovery, log tlog.Hashes, from, size uint64, row [][]byte) (err error) {
	if r.Consistency, err = tlog.Consistency(log, from, size); err != nil {
		return err
	}
	r.Ops = nil
	for i, op := range row {
		leaf := tlog.Leaf{Index: from + uint64(i), Bytes: op}
		if leaf.Proof, err = tlog.Inclusion(log, size, leaf.Index); err != nil {
			return err
		}
		r.Ops = append(r.Ops, leaf)
	}
	return nil
}
