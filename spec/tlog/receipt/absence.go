// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"
	"slices"
	"time"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// An Absence proves that no entry lists a signal by equality. It shows what stands
// on either side of the signal's place, so that it is for enrolled parties alone.
type Absence struct {
	_        struct{} `cbor:",toarray"`
	Version  uint64
	K        spec.Hash // of the signal that was asked about
	Type     string
	Value    []byte
	Links    []tlog.Link
	Note     []byte // the final checkpoint
	Root     Leaf   // a StateRoot
	Bucket   []spec.Hash
	Before   []Neighbour // the last leaf of the bucket before the signal's place, or none
	After    []Neighbour // the first behind it, or none
	Siblings []spec.Hash
}

// A Neighbour is what a live leaf is made from.
type Neighbour struct {
	_    struct{} `cbor:",toarray"`
	K, C spec.Hash
	Meta []byte
}

func (n *Neighbour) leaf() spec.Hash { return spec.LiveLeaf(n.K, n.C, n.Meta) }

// maxBucket bounds the leaves of a bucket in an Absence.
const maxBucket = 1 << 12

// Encode returns the canonical bytes.
func (a *Absence) Encode() ([]byte, error) { return spec.Encode(a) }

// ParseAbsence is the reverse of Encode. What it returns is not verified.
func ParseAbsence(data []byte) (*Absence, error) {
	if len(data) > MaxReceipt {
		return nil, spec.Errorf(spec.CodeTooLarge, "a receipt is at most %d bytes", MaxReceipt)
	}
	var a Absence
	if err := spec.Decode(data, &a); err != nil {
		return nil, err
	}
	if a.Version != Version {
		return nil, spec.Errorf(spec.CodeVersion, "receipt version %d is not known here", a.Version)
	}
	if len(a.Bucket) > maxBucket || len(a.Before) > 1 || len(a.After) > 1 {
		return nil, spec.Errorf(spec.CodeTooLarge, "a bucket has at most %d leaves", maxBucket)
	}
	return &a, nil
}

// An AbsentFact is what an Absence proves.
type AbsentFact struct {
	Origin  string
	Signal  spec.Signal
	Size    uint64 // of the log as of which it holds
	LogTime time.Time
	Final   time.Time
}

// VerifyAbsence checks an Absence and says what it proves.
func (v *Verifier) VerifyAbsence(data []byte) (*AbsentFact, error) {
	a, err := ParseAbsence(data)
	if err != nil {
		return nil, err
	}
	chain, final, err := v.final(a.Links, a.Note)
	if err != nil {
		return nil, err
	}
	c := &checking{v: v, r: &Receipt{Leaves: []Leaf{a.Root}}, usedLeaf: make([]bool, 1)}
	if err := c.leaves(final); err != nil {
		return nil, err
	}
	s := spec.Signal{Type: a.Type, Value: a.Value}
	if err := s.Check(); err != nil {
		return nil, err
	}
	// A bucket proves of many signals that they are absent: without K, another value of
	// the same bucket could be put in place.
	if a.K != s.Key() {
		return nil, bad("the signal is not the one that was asked about")
	}
	if err := a.between(a.K); err != nil {
		return nil, err
	}
	root := spec.TreeRoot(slices.Clone(a.Bucket))
	if err := tlog.CheckBucket(a.Siblings, tlog.LiveBits, a.K, root, c.root.LiveRoot); err != nil {
		return nil, err
	}
	return &AbsentFact{
		Origin: chain.Origin, Signal: s, Size: c.root.SizeBefore + 1,
		LogTime: time.UnixMilli(int64(c.root.TimeMS)), Final: time.Unix(int64(chain.Time(final)), 0),
	}, nil
}

// between checks that the neighbours stand next to each other, or at an end of the
// bucket, on either side of k.
func (a *Absence) between(k spec.Hash) error {
	at := 0 // of the first leaf behind k
	if len(a.Before) == 1 {
		at = slices.Index(a.Bucket, a.Before[0].leaf()) + 1
		if at == 0 || bytes.Compare(a.Before[0].K[:], k[:]) >= 0 {
			return bad("what is said to stand before the signal does not")
		}
	}
	if len(a.After) == 0 {
		if at != len(a.Bucket) {
			return bad("something stands behind the signal that is not shown")
		}
		return nil
	}
	if at >= len(a.Bucket) || a.Bucket[at] != a.After[0].leaf() || bytes.Compare(a.After[0].K[:], k[:]) <= 0 {
		return bad("what is said to stand behind the signal does not")
	}
	return nil
}
