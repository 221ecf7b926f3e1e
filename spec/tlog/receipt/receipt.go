// SPDX-License-Identifier: Apache-2.0

// Package receipt proves one fact about an entry to anyone who has the
// consortium's genesis document, offline (spec/receipt.md).
package receipt

import (
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// Version is the version of the receipts described here.
const Version = 1

// MaxReceipt bounds a receipt in bytes, maxLeaves and maxRecords what is in it.
const (
	MaxReceipt = 1 << 20
	maxLeaves  = 1 << 10
	maxRecords = 1 << 10
)

// A Receipt carries what a fact follows from: leaves of the log up to a final
// checkpoint, and records of the state as of the last of them, a StateRoot.
//
// Nothing in it names what a leaf or a record is for: that is read from the bytes
// that are proved, and a part that the fact does not need is refused.
type Receipt struct {
	_       struct{} `cbor:",toarray"`
	Version uint64
	Entry   spec.Hash
	Links   []tlog.Link // how the panels took over, from the founding one to that of the checkpoint
	Note    []byte      // the final checkpoint
	Leaves  []Leaf      // by index
	Records []Record    // by key
	Signal  []Signal    // one that the entry lists, or none
}

// A Leaf of the log with the proof that it stands there.
type Leaf = tlog.Leaf

// A Record of the rules' state with the proof that it stands there.
type Record = tlog.Record

// A Signal opens one commitment of the proposal.
type Signal struct {
	_       struct{} `cbor:",toarray"`
	Index   uint64   // in the proposal
	Salt    [spec.SaltSize]byte
	Type    string
	Value   []byte
	Quality uint64
	Path    []spec.Hash        // from its commitment to the proposal's root
	Live    []tlog.BucketProof // that lookups find it, while they do; else none
}

// Encode returns the canonical bytes.
func (r *Receipt) Encode() ([]byte, error) { return spec.Encode(r) }

// Parse is the reverse of Encode. What it returns is not verified.
func Parse(data []byte) (*Receipt, error) {
	if len(data) > MaxReceipt {
		return nil, spec.Errorf(spec.CodeTooLarge, "a receipt is at most %d bytes", MaxReceipt)
	}
	var r Receipt
	if err := spec.Decode(data, &r); err != nil {
		return nil, err
	}
	if r.Version != Version {
		return nil, spec.Errorf(spec.CodeVersion, "receipt version %d is not known here", r.Version)
	}
	if len(r.Leaves) > maxLeaves || len(r.Records) > maxRecords || len(r.Signal) > 1 {
		return nil, spec.Errorf(spec.CodeTooLarge, "a receipt has at most %d leaves and %d records", maxLeaves, maxRecords)
	}
	return &r, nil
}
