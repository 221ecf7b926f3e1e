// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"
	"slices"
	"time"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A Fact is what a receipt proves.
type Fact struct {
	Origin       string
	Entry        spec.Hash
	State        string // spec.StateName, as of the log's size
	Organisation string // who proposed the entry
	Labels       []string
	Signal       *spec.Signal // that the entry lists, nil when withheld
	Live         bool         // lookups find that signal
	Listing      Ruling
	Retraction   *Ruling       // of the dispute that ended it, or nil
	Applied      []Application // of a retraction: by the sequencers that said so, in the order of their ids
	Unconfirmed  []string      // of a retraction: sequencers of which the receipt shows none
	Size         uint64        // of the log as of which it holds
	LogTime      time.Time
	Final        time.Time // k organisations say that the checkpoint is no older
	Cosigners    []string
}

// A Ruling is a case with what was shown of it.
type Ruling struct {
	Case      spec.Hash
	Reason    string // basis of an addition, reason of a dispute
	Opened    uint64 // log index
	Decided   uint64 // log index, 0 while open
	At        time.Time
	Approvers []string // whose signed approvals are in the receipt, the opener's own counted
	Need      uint64
}

// A Verifier knows one consortium. It never changes; any number of goroutines may
// use it.
type Verifier struct {
	genesis *spec.Genesis
	origin  string
}

// NewVerifier makes the Verifier of a consortium.
func NewVerifier(g *spec.Genesis) (*Verifier, error) {
	_, err := tlog.GenesisPanel(g)
	return &Verifier{g, g.Origin()}, err
}

// final follows the hand-offs from the founding panel to that of a checkpoint, no
// further, and opens it.
func (v *Verifier) final(links []tlog.Link, note []byte) (*tlog.Chain, *tlog.Signed, error) {
	if len(links) > tlog.MaxLinks {
		return nil, nil, spec.Errorf(spec.CodeTooLarge, "a receipt has at most %d hand-offs", tlog.MaxLinks)
	}
	chain, err := tlog.NewChain(v.genesis)
	if err != nil {
		return nil, nil, err
	}
	for i := range links {
		if err := chain.Add(&links[i]); err != nil {
			return nil, nil, err
		}
	}
	s, err := chain.OpenExact(note)
	if err != nil {
		return nil, nil, err
	}
	if _, size, _ := chain.Panel(uint64(len(links))); chain.Number() != uint64(len(links)) || size > s.Size {
		return nil, nil, bad("a hand-off in it is not needed")
	}
	return chain, s, nil
}

// Verify checks a receipt and says what it proves, failing with BAD_RECEIPT or the
// code of the part that does not hold.
func (v *Verifier) Verify(data []byte) (*Fact, error) {
	r, err := Parse(data)
	if err != nil {
		return nil, err
	}
	chain, final, err := v.final(r.Links, r.Note)
	if err != nil {
		return nil, err
	}
	c := &checking{v: v, panel: chain.At(final.Size), r: r, usedLeaf: make([]bool, len(r.Leaves)), usedRecord: make([]bool, len(r.Records))}
	if err := c.leaves(final); err != nil {
		return nil, err
	}
	if err := c.records(); err != nil {
		return nil, err
	}
	f := &Fact{
		Origin: chain.Origin, Entry: r.Entry, Size: c.root.SizeBefore + 1,
		LogTime: time.UnixMilli(int64(c.root.TimeMS)), Final: time.Unix(int64(chain.Time(final)), 0),
	}
	for i := range final.Cosignatures {
		f.Cosigners = append(f.Cosigners, final.Cosignatures[i].Org)
	}
	if err := c.entry(f); err != nil {
		return nil, err
	}
	return f, c.allUsed()
}

func bad(format string, args ...any) error {
	return spec.Errorf(spec.CodeReceipt, "the receipt does not hold: "+format, args...)
}

// checking is one verification.
type checking struct {
	v                    *Verifier
	panel                *tlog.Panel // of the checkpoint
	r                    *Receipt
	parsed               []spec.Leaf
	root                 *spec.StateRoot
	usedLeaf, usedRecord []bool
}

// leaves checks that the leaves stand in the final log and the last is a StateRoot.
func (c *checking) leaves(final *tlog.Signed) error {
	for i := range c.r.Leaves {
		l := &c.r.Leaves[i]
		if i > 0 && c.r.Leaves[i-1].Index >= l.Index {
			return bad("leaves stand in the order of the log, each once")
		}
		if err := tlog.CheckInclusion(l.Proof, final.Size, l.Index, final.Root, spec.LeafHash(l.Bytes)); err != nil {
			return err
		}
		parsed, err := spec.ParseLeaf(l.Bytes)
		if err != nil {
			return err
		}
		c.parsed = append(c.parsed, parsed)
	}
	last := len(c.parsed) - 1
	if last < 0 || c.parsed[last].StateRoot == nil || c.parsed[last].StateRoot.SizeBefore != c.r.Leaves[last].Index {
		return bad("its last leaf is not the root of the state")
	}
	c.root, c.usedLeaf[last] = c.parsed[last].StateRoot, true
	return nil
}

// records checks that the records stand in the state.
func (c *checking) records() error {
	for i := range c.r.Records {
		r := &c.r.Records[i]
		if i > 0 && bytes.Compare(c.r.Records[i-1].Key, r.Key) >= 0 {
			return bad("records stand in the order of their keys, each once")
		}
		if err := r.Proof.Check(tlog.RulesBits, spec.RulePlace(r.Key), spec.RuleLeaf(r.Key, r.Value), c.root.RulesRoot); err != nil {
			return err
		}
	}
	return nil
}

// record decodes the record under key.
func (c *checking) record(key []byte, out any) (bool, error) {
	i, ok := slices.BinarySearchFunc(c.r.Records, key, func(r Record, k []byte) int { return bytes.Compare(r.Key, k) })
	if !ok {
		return false, nil
	}
	c.usedRecord[i] = true
	return true, spec.Decode(c.r.Records[i].Value, out)
}

// operation returns the signed operation at a log index, its signature checked.
func (c *checking) operation(index uint64) (*spec.Signed, error) {
	i, ok := slices.BinarySearchFunc(c.r.Leaves, index, func(l Leaf, x uint64) int { return int(min(max(int64(l.Index)-int64(x), -1), 1)) })
	if !ok || c.parsed[i].Signed == nil {
		return nil, bad("an operation that it needs is missing")
	}
	c.usedLeaf[i] = true
	op := c.parsed[i].Signed
	key, err := c.key(op)
	if err != nil {
		return nil, err
	}
	if !op.Verify(c.v.origin, key) {
		return nil, spec.Errorf(spec.CodeSignature, "a signature in the receipt does not hold")
	}
	return op, nil
}

// key finds the op key that signed: the organisation's founding key, or one that
// its record in the state names.
func (c *checking) key(op *spec.Signed) (spec.PublicKey, error) {
	if o, ok := c.v.genesis.Member(op.Op.Org); ok && o.OpKey.ID() == op.Op.Key {
		return o.OpKey, nil
	}
	var who spec.OrgRecord
	found, err := c.record(spec.OrgKey(op.Op.Org), &who)
	if err != nil {
		return spec.PublicKey{}, err
	}
	if !found {
		var former spec.FormerRecord
		if _, err := c.record(spec.FormerKey(op.Op.Org), &former); err != nil {
			return spec.PublicKey{}, err
		}
		who = former.Enrolled
	}
	for _, k := range append(who.OpKeys(), who.Revoked...) {
		if k.ID() == op.Op.Key {
			return k, nil
		}
	}
	return spec.PublicKey{}, spec.Errorf(spec.CodeKey, "a key that signed is not one of %s", op.Op.Org)
}

// decision returns the Decision leaf at a log index.
func (c *checking) decision(index uint64) (*spec.Decision, error) {
	for i := range c.r.Leaves {
		if c.r.Leaves[i].Index == index && c.parsed[i].Decision != nil {
			c.usedLeaf[i] = true
			return c.parsed[i].Decision, nil
		}
	}
	return nil, bad("a decision that it needs is missing")
}

// allUsed refuses a receipt with parts that nothing follows from.
func (c *checking) allUsed() error {
	if slices.Contains(c.usedLeaf, false) || slices.Contains(c.usedRecord, false) {
		return bad("it has parts that nothing follows from")
	}
	return nil
}
