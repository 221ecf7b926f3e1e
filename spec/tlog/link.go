// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"bytes"

	"github.com/tocsin-db/tocsin/spec"
)

// A Link proves that one panel handed over to the next: the checkpoint that ends
// the group which changed the panel, cosigned by enough of both, and the leaf that
// names the new one, last but the StateRoot in it. Where the panel before was lost,
// Recovery stands for its cosignatures.
type Link struct {
	_        struct{} `cbor:",toarray"`
	Note     []byte
	Panel    []byte
	Proof    []spec.Hash
	Recovery []byte // an encoded Recovery, or empty
}

// MaxLink bounds an encoded link in bytes, MaxLinks the links of one chain.
const (
	MaxLink  = 512 << 10
	MaxLinks = 1 << 12
)

// Encode returns the canonical bytes.
func (l *Link) Encode() ([]byte, error) { return spec.Encode(l) }

// ParseLink is the reverse of Encode. What it returns is not verified.
func ParseLink(data []byte) (*Link, error) {
	if len(data) > MaxLink {
		return nil, spec.Errorf(spec.CodeTooLarge, "a link of the hand-off chain is at most %d bytes", MaxLink)
	}
	var l Link
	if err := spec.Decode(data, &l); err != nil {
		return nil, err
	}
	_, err := l.recovery()
	return &l, err
}

// NewLink makes the link of the panel that takes over at the size of a final
// checkpoint.
func NewLink(c *Chain, h Hashes, panel []byte, s *Signed, recovery *Recovery) (*Link, error) {
	note, err := c.Note(s)
	if err != nil {
		return nil, err
	}
	l := &Link{Note: note, Panel: panel}
	if recovery != nil {
		if l.Recovery, err = spec.Encode(recovery); err != nil {
			return nil, err
		}
	}
	l.Proof, err = Inclusion(h, s.Size, s.Size-2)
	return l, err
}

// Add verifies a link and lets the chain grow by it. A link of a panel that is
// known is kept, if it is the first.
func (c *Chain) Add(l *Link) error {
	leaf, err := spec.ParseLeaf(l.Panel)
	if err != nil {
		return err
	}
	size, err := sizeOf(l.Note)
	if err != nil {
		return err
	}
	if leaf.Panel == nil || size < 2 {
		return spec.Errorf(spec.CodeProof, "a link names no panel")
	}
	if leaf.Panel.Number > c.Number() {
		return c.extend(l, leaf.Panel, size)
	}
	from, err := l.from()
	if err != nil {
		return err
	}
	if err := c.Grow(leaf.Panel, size, from); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	number := leaf.Panel.Number
	t := &c.turns[number]
	if t.link != nil || number == 0 {
		return nil
	}
	if err := l.check(&c.turns[number-1], t); err != nil {
		return err
	}
	t.link = l
	return nil
}

// recovery is what stands for the cosignatures of the panel before, or nil.
func (l *Link) recovery() (*Recovery, error) {
	if len(l.Recovery) == 0 {
		return nil, nil
	}
	r := new(Recovery)
	return r, spec.Decode(l.Recovery, r)
}

// from is the size from which a recovery went on, 0 for a hand-off.
func (l *Link) from() (uint64, error) {
	r, err := l.recovery()
	if r == nil || err != nil {
		return 0, err
	}
	from, err := sizeOf(r.Note)
	if err == nil && from == 0 {
		err = spec.Errorf(spec.CodeRecovery, "a recovery goes on from a checkpoint")
	}
	return from, err
}

func (c *Chain) extend(l *Link, of *spec.Panel, size uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if of.Number != uint64(len(c.turns)) {
		return spec.Errorf(spec.CodeProof, "panel %d does not follow panel %d", of.Number, len(c.turns)-1)
	}
	from, err := l.from()
	if err != nil {
		return err
	}
	t, err := c.follow(of, size, from)
	if err != nil {
		return err
	}
	if err := l.check(&c.turns[len(c.turns)-1], t); err != nil {
		return err
	}
	t.link = l
	c.turns = append(c.turns, *t)
	return nil
}

// check verifies the checkpoint, the place of the leaf and, where there is one, the
// recovery that led from the panel before to that of t.
func (l *Link) check(before, t *turn) error {
	s, err := t.at.OpenExact(l.Note)
	if err != nil {
		return err
	}
	if err := CheckInclusion(l.Proof, t.size, t.size-2, s.Root, spec.LeafHash(l.Panel)); err != nil {
		return err
	}
	t.root = s.Root
	if t.from == 0 {
		return nil
	}
	r, err := l.recovery()
	if err != nil {
		return err
	}
	return r.check(before.panel(t.from), s, &t.of)
}

// Link returns the link of the panel of a number, once it is known.
func (c *Chain) Link(number uint64) (*Link, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if number == 0 || number >= uint64(len(c.turns)) || c.turns[number].link == nil {
		return nil, false
	}
	return c.turns[number].link, true
}

// Links are the links up to the panel of a size, which must all be known:
// else NOT_FINAL.
func (c *Chain) Links(size uint64) ([]Link, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out []Link
	for i := 1; i < len(c.turns) && c.turns[i].size <= size; i++ {
		if c.turns[i].link == nil {
			return nil, spec.Errorf(spec.CodeNotFinal, "how panel %d took over is not known here yet", i)
		}
		out = append(out, *c.turns[i].link)
	}
	return out, nil
}

// sizeOf reads the size that a note is about. Nothing of it is verified.
func sizeOf(note []byte) (uint64, error) {
	if len(note) > MaxNote {
		return 0, spec.Errorf(spec.CodeTooLarge, "a signed note has at most %d bytes", MaxNote)
	}
	text, _, ok := bytes.Cut(note, []byte("\n\n"))
	if !ok {
		return 0, spec.Errorf(spec.CodeCheckpoint, "not a signed checkpoint")
	}
	c, err := ParseCheckpoint(append(bytes.Clone(text), '\n'))
	return c.Size, err
}
