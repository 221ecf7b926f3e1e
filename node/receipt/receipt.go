// SPDX-License-Identifier: Apache-2.0

// Package receipt assembles receipts (spec/receipt.md) from a node's store.
package receipt

import (
	"bytes"
	"context"
	"slices"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/spec/tlog/receipt"
	"github.com/tocsin-db/tocsin/storage"
)

// Final is where the newest final checkpoint is read.
type Final interface {
	Wait(ctx context.Context, size uint64) error
	Signed() *tlog.Signed
}

// A Maker makes receipts.
type Maker struct {
	Genesis *spec.Genesis
	Chain   *tlog.Chain
	Store   *storage.Store
	Final   Final
}

// Get returns the receipt of an entry as the state is now: that it is listed and
// how that was decided or, once it is retracted, how that was. signal is one that
// the entry lists and that the receipt opens; nil withholds all. It waits until
// the state is final.
//
// It fails with UNKNOWN_ENTRY for an entry or signal that there is not, and with
// OPENING_MISSING when this node does not hold the signal's value.
func (m *Maker) Get(ctx context.Context, entry spec.Hash, signal *spec.Signal) ([]byte, error) {
	for range 10 {
		d, err := m.draft(entry, signal)
		if err != nil {
			return nil, err
		}
		if ok, err := d.prove(); err != nil {
			return nil, err
		} else if ok {
			return d.finish(ctx)
		}
	}
	return nil, spec.Errorf(spec.CodeBusy, "the entry changes too often: try again")
}

// A draft collects what a receipt needs.
type draft struct {
	*Maker
	receipt.Receipt
	leaves []uint64
	keys   [][]byte
	values map[string][]byte // what the records were when they were chosen
	opened *spec.Opened
	size   uint64 // as of which the records are proved
}

func (m *Maker) draft(entry spec.Hash, signal *spec.Signal) (*draft, error) {
	d := &draft{Maker: m, values: map[string][]byte{}}
	d.Version, d.Entry = receipt.Version, entry
	var e spec.Entry
	if found, err := d.record(spec.EntryKey(entry), &e); err != nil {
		return nil, err
	} else if !found {
		return nil, spec.Errorf(spec.CodeEntry, "no entry has this id")
	}
	if err := d.ruling(e.Case); err != nil {
		return nil, err
	}
	if e.State == spec.StateRetracted {
		if err := d.retracted(&e); err != nil {
			return nil, err
		}
	}
	if signal == nil {
		return d, nil
	}
	return d, d.open(&e, signal)
}

// record reads a record that the receipt is to prove.
func (d *draft) record(key []byte, out any) (bool, error) {
	b, err := d.Store.Record(key)
	if err != nil || b == nil {
		return false, err
	}
	if d.values[string(key)] == nil {
		d.keys = append(d.keys, key)
		d.values[string(key)] = b
	}
	return true, spec.Decode(b, out)
}

// ruling takes the operation that opened a case, the approvals and the decision.
func (d *draft) ruling(id spec.Hash) error {
	var k spec.Case
	if found, err := d.record(spec.CaseKey(id), &k); err != nil || !found {
		return firstOf(err, spec.Errorf(spec.CodeCase, "no case has this id"))
	}
	if k.Org != "" { // else the rules opened it
		if err := d.operation(k.Index); err != nil {
			return err
		}
	}
	if !k.Open() {
		d.leaves = append(d.leaves, k.Decided)
	}
	var votes []uint64
	var bad error
	err := d.Store.Records(spec.VotePrefix(id), func(_, value []byte) bool {
		var v spec.VoteRecord
		if bad = spec.Decode(value, &v); bad != nil {
			return false
		}
		if v.Choice == spec.Approve && v.Index != k.Index {
			votes = append(votes, v.Index)
		}
		return true
	})
	if err := firstOf(err, bad); err != nil {
		return err
	}
	for _, index := range votes {
		if err := d.operation(index); err != nil {
			return err
		}
	}
	return nil
}

// operation takes a leaf, and the record of who signed it unless the genesis
// document has the key.
func (d *draft) operation(index uint64) error {
	b, err := d.leaf(index)
	if err != nil {
		return err
	}
	l, err := spec.ParseLeaf(b)
	if err != nil || l.Signed == nil {
		return firstOf(err, spec.Errorf(spec.CodeCorrupt, "leaf %d is not the operation that a record says", index))
	}
	d.leaves = append(d.leaves, index)
	op := &l.Signed.Op
	if o, ok := d.Genesis.Member(op.Org); ok && o.OpKey.ID() == op.Key {
		return nil
	}
	var who spec.OrgRecord
	if found, err := d.record(spec.OrgKey(op.Org), &who); err != nil || found {
		return err
	}
	var former spec.FormerRecord
	_, err = d.record(spec.FormerKey(op.Org), &former)
	return err
}

func (d *draft) leaf(index uint64) ([]byte, error) {
	leaves, err := d.Store.Leaves(index, 1)
	if err == nil && len(leaves) == 0 {
		err = spec.Errorf(spec.CodeCorrupt, "leaf %d of the log is missing", index)
	}
	if err != nil {
		return nil, err
	}
	return leaves[0], nil
}

func (d *draft) retracted(e *spec.Entry) error {
	b, err := d.leaf(e.Since)
	if err != nil {
		return err
	}
	l, err := spec.ParseLeaf(b)
	if err != nil || l.Decision == nil {
		return firstOf(err, spec.Errorf(spec.CodeCorrupt, "leaf %d is not the decision that a record says", e.Since))
	}
	if l.Decision.Case == e.Case {
		return nil
	}
	if err := d.ruling(l.Decision.Case); err != nil {
		return err
	}
	return d.applied(e.Since)
}

// open finds the signal in the opening.
func (d *draft) open(e *spec.Entry, want *spec.Signal) error {
	o, err := d.Store.Opening(e.Case)
	if err != nil {
		return err
	}
	if o == nil || e.First+e.Count > uint64(len(o.Signals)) {
		return spec.Errorf(spec.CodeOpening, "this node does not hold the entry's values")
	}
	for i := e.First; i < e.First+e.Count; i++ {
		s := &o.Signals[i]
		if s.Erased || s.Signal.Type != want.Type || !bytes.Equal(s.Signal.Value, want.Value) {
			continue
		}
		path, err := pathTo(o.Signals, i)
		if err != nil {
			return err
		}
		d.opened = s
		d.Signal = []receipt.Signal{{
			Index: i, Salt: s.Salt, Type: s.Signal.Type, Value: s.Signal.Value, Quality: uint64(s.Signal.Quality), Path: path,
		}}
		return nil
	}
	return spec.Errorf(spec.CodeEntry, "the entry does not list this signal, or its value was erased")
}

func pathTo(signals []spec.Opened, index uint64) ([]spec.Hash, error) {
	var tree tlog.Memory
	for i := range signals {
		c := signals[i].Commitment()
		tree.Add(spec.LeafHash(c[:]))
	}
	return tlog.Inclusion(&tree, tree.Size, index)
}

// prove proves the records; ok is false when one changed since it was chosen.
func (d *draft) prove() (ok bool, err error) {
	slices.SortFunc(d.keys, bytes.Compare)
	var k spec.Hash
	if d.opened != nil {
		k = d.opened.Signal.Key()
	}
	p, err := d.Store.Prove(d.keys, k, d.Entry)
	if err != nil || len(p.Records) != len(d.keys) {
		return false, err
	}
	d.size = p.Size
	for _, r := range p.Records {
		if !bytes.Equal(r.Value, d.values[string(r.Key)]) {
			return false, nil
		}
		d.Records = append(d.Records, receipt.Record{Key: r.Key, Value: r.Value, Proof: *r.Proof})
	}
	if p.Live != nil {
		d.Signal[0].Live = []tlog.BucketProof{*p.Live}
	}
	return true, nil
}

// finish waits until the log is final up to where the records are proved, and
// proves the leaves.
func (d *draft) finish(ctx context.Context) ([]byte, error) {
	if err := d.Final.Wait(ctx, d.size-1); err != nil {
		return nil, spec.Errorf(spec.CodeNotFinal, "the log is not final up to %d yet: %w", d.size, err)
	}
	final := d.Final.Signed()
	var err error
	if d.Note, err = d.Chain.Note(final); err != nil {
		return nil, err
	}
	if d.Links, err = d.Chain.Links(final.Size); err != nil {
		return nil, err
	}
	d.leaves = append(d.leaves, d.size-1)
	slices.Sort(d.leaves)
	for _, index := range slices.Compact(d.leaves) {
		l := receipt.Leaf{Index: index}
		if l.Bytes, err = d.leaf(index); err != nil {
			return nil, err
		}
		if l.Proof, err = tlog.Inclusion(d.Store, final.Size, index); err != nil {
			return nil, err
		}
		d.Leaves = append(d.Leaves, l)
	}
	return d.Encode()
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
