// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"slices"
	"sync"

	"github.com/tocsin-db/tocsin/spec"
)

// A Chain is the panels of one log, in the order in which they took over. It
// begins with the genesis document and grows by links that prove themselves, or by
// what a node derived itself. Any number of goroutines may use it.
type Chain struct {
	Origin string
	mu     sync.RWMutex
	turns  []turn
}

// A turn is one panel from where it took over.
type turn struct {
	size  uint64 // of the log
	from  uint64 // size from which a recovery went on: nothing before size is anyone's; 0: a hand-off
	of    spec.Panel
	alone *Panel
	at    *Panel    // of the checkpoint at size: both panels, unless the one before was lost
	link  *Link     // nil for the first, and until it is known
	root  spec.Hash // of the log at size, with link
}

// NewChain is the chain of a consortium with its founding panel.
func NewChain(g *spec.Genesis) (*Chain, error) { return ChainFrom(g.Origin(), g.FoundingPanel()) }

// ChainFrom is the chain of an origin that begins with a panel.
func ChainFrom(origin string, of *spec.Panel) (*Chain, error) {
	p, err := NewPanel(origin, of)
	if err != nil {
		return nil, err
	}
	return &Chain{Origin: origin, turns: []turn{{of: *of, alone: p, at: p}}}, nil
}

// Panel returns the panel of a number and the size at which it took over.
func (c *Chain) Panel(number uint64) (p *spec.Panel, size uint64, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if number >= uint64(len(c.turns)) {
		return nil, 0, false
	}
	t := &c.turns[number]
	return &t.of, t.size, true
}

// Number is that of the newest panel that is known.
func (c *Chain) Number() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return uint64(len(c.turns)) - 1
}

// TurnAt tells which panel took over at just this size, and whether by a recovery.
func (c *Chain) TurnAt(size uint64) (number uint64, recovered, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	i := c.index(size)
	t := &c.turns[i]
	return uint64(i), t.from > 0, i > 0 && t.size == size
}

// A Recovered panel took over at a size of the log, with this root, behind a smaller
// size from which members went on.
type Recovered struct {
	From, Size uint64
	Root       spec.Hash
}

// Recoveries lists those that are proved.
func (c *Chain) Recoveries() (out []Recovered) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for i := range c.turns {
		if t := &c.turns[i]; t.from > 0 && t.link != nil {
			out = append(out, Recovered{From: t.from, Size: t.size, Root: t.root})
		}
	}
	return out
}

// Discards reports whether a recovery that is known, proved or not, went on from before
// a size, so that there were two logs of that size in good faith.
func (c *Chain) Discards(size uint64) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.ContainsFunc(c.turns, func(t turn) bool { return t.from > 0 && size > t.from })
}

// Contradicts reports whether a note was made final by a panel that a recovery replaced
// from before its size: two histories of that size were final.
func (c *Chain) Contradicts(note []byte) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for i := range c.turns {
		if t := &c.turns[i]; t.from > 0 {
			if s, err := c.turns[i-1].alone.OpenFinal(note); err == nil && s.Size > t.from {
				return true
			}
		}
	}
	return false
}

// At is the panel whose cosignatures make the checkpoint of a size final.
func (c *Chain) At(size uint64) *Panel {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.turns[c.index(size)].panel(size)
}

// panel is who makes the checkpoint of a size final while this panel is in force.
func (t *turn) panel(size uint64) *Panel {
	if size == t.size {
		return t.at
	}
	return t.alone
}

// index is that of the panel in force at a size. From behind the checkpoint that a
// recovery went on from that is the panel which it named.
func (c *Chain) index(size uint64) int {
	i := len(c.turns) - 1
	for i > 0 && c.turns[i].begins() > size {
		i--
	}
	return i
}

// begins is the first size that is the panel's, and no longer that of the one before
// alone.
func (t *turn) begins() uint64 {
	if t.from > 0 {
		return t.from + 1
	}
	return t.size
}

// From lists the organisations of the panel of a size and of all behind it. What was
// before a recovery is not waited for.
func (c *Chain) From(size uint64) []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	i := c.index(size)
	for j := i + 1; j < len(c.turns); j++ {
		if c.turns[j].from > 0 {
			i = j
		}
	}
	ids := c.turns[i].at.Orgs()
	for ; i < len(c.turns); i++ {
		ids = append(ids, c.turns[i].alone.Orgs()...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Next is the size of the first hand-off behind a size, if there is one.
func (c *Chain) Next(size uint64) (uint64, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	i := c.index(size) + 1
	if i == len(c.turns) {
		return 0, false
	}
	return c.turns[i].size, true
}

// Grow adds the panel that took over at a size, as this node derived it: by a
// hand-off, or by a recovery from a smaller size. What is known already must be the
// same, else FORKED.
func (c *Chain) Grow(of *spec.Panel, size, from uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := uint64(len(c.turns))
	if of.Number < n {
		have := &c.turns[of.Number]
		if have.size != size || have.from != from || have.of.K != of.K || !slices.Equal(have.of.Seats, of.Seats) {
			return spec.Errorf(spec.CodeForked, "panel %d is another than the one that was handed over to", of.Number)
		}
		return nil
	}
	if of.Number != n {
		return spec.Errorf(spec.CodeProof, "panel %d does not follow panel %d", of.Number, n-1)
	}
	t, err := c.follow(of, size, from)
	if err == nil {
		c.turns = append(c.turns, *t)
	}
	return err
}

// follow makes the turn behind the last. Caller holds mu.
func (c *Chain) follow(of *spec.Panel, size, from uint64) (*turn, error) {
	last := &c.turns[len(c.turns)-1]
	if size <= last.size || size < 2 || from > 0 && (from < last.size || from >= size) {
		return nil, spec.Errorf(spec.CodeProof, "a panel takes over behind the one before")
	}
	alone, err := NewPanel(c.Origin, of)
	if err != nil {
		return nil, err
	}
	t := &turn{size: size, from: from, of: *of, alone: alone, at: alone}
	if from == 0 {
		t.at, err = HandOff(last.alone, alone)
	}
	return t, err
}

// Final reports whether enough sequencers cosigned a checkpoint.
func (c *Chain) Final(s *Signed) bool { return c.At(s.Size).Final(s) }

// Time is Panel.Time under the panel of the checkpoint's size.
func (c *Chain) Time(s *Signed) uint64 { return c.At(s.Size).Time(s) }

// Note is Panel.Note under the panel of the checkpoint's size.
func (c *Chain) Note(s *Signed) ([]byte, error) { return c.At(s.Size).Note(s) }

// Open is Panel.Open under the panel of the checkpoint's size.
func (c *Chain) Open(note []byte) (*Signed, error) {
	p, err := c.of(note)
	if err != nil {
		return nil, err
	}
	return p.Open(note)
}

// OpenFinal is Panel.OpenFinal under the panel of the checkpoint's size.
func (c *Chain) OpenFinal(note []byte) (*Signed, error) {
	p, err := c.of(note)
	if err != nil {
		return nil, err
	}
	return p.OpenFinal(note)
}

// OpenExact is Panel.OpenExact under the panel of the checkpoint's size.
func (c *Chain) OpenExact(note []byte) (*Signed, error) {
	p, err := c.of(note)
	if err != nil {
		return nil, err
	}
	return p.OpenExact(note)
}

// of is the panel of the size that a note is about, which is not verified.
func (c *Chain) of(note []byte) (*Panel, error) {
	size, err := sizeOf(note)
	if err != nil {
		return nil, err
	}
	return c.At(size), nil
}
