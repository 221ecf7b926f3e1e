// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"regexp"
)

// Limits of bodies.
const (
	MaxLabels = 32
	MaxLabel  = 64 // bytes
)

var (
	labelForm  = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9._:-]{0,62}[a-z0-9])?$`)
	reasonForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
)

// A Count says how many signals of one type an item has.
type Count struct {
	_     struct{} `cbor:",toarray"`
	Type  string
	Count uint64
}

// An Item is one piece of content inside a proposal. Its signals are blinded:
// the leaf tells their number by type, the opening their values.
type Item struct {
	_      struct{} `cbor:",toarray"`
	Labels []string // sorted, each once
	Counts []Count  // in the order of the opening
}

// Signals returns the number of signals of the item.
func (i *Item) Signals() int {
	n := 0
	for _, c := range i.Counts {
		n += int(c.Count)
	}
	return n
}

// A Proposal asks to list a batch of items.
type Proposal struct {
	_        struct{} `cbor:",toarray"`
	Items    []Item
	Root     Hash       // RFC 6962 root over the commitments
	Basis    string     // code of the ground on which it is proposed
	Urgency  uint64     // Standard or Urgent
	Text     []byte     // salted hash of the free text, or empty
	Evidence []byte     // salted hash of the evidence reference, or empty
	Referral []Referral // one when an authority asks, else none
}

// Urgencies of a proposal.
const (
	Standard uint64 = 0
	Urgent   uint64 = 1
)

// Kind implements Body.
func (*Proposal) Kind() uint64 { return KindProposal }

// TextHashes implements Body.
func (p *Proposal) TextHashes() [][]byte {
	h := [][]byte{p.Text, p.Evidence}
	for i := range p.Referral {
		h = append(h, p.Referral[i].Reference, p.Referral[i].Authority, p.Referral[i].Locator)
	}
	return h
}

// Signals returns the number of signals of all items.
func (p *Proposal) Signals() int {
	n := 0
	for i := range p.Items {
		n += p.Items[i].Signals()
	}
	return n
}

// Check implements Body.
func (p *Proposal) Check() error {
	if len(p.Items) == 0 || len(p.Items) > MaxItems {
		return Errorf(CodeTooLarge, "a proposal has 1 to %d items", MaxItems)
	}
	total := 0
	for i := range p.Items {
		if err := p.Items[i].check(); err != nil {
			return err
		}
		total += p.Items[i].Signals()
	}
	if total > MaxSignals {
		return Errorf(CodeTooLarge, "a proposal has at most %d signals", MaxSignals)
	}
	if p.Urgency > Urgent {
		return Errorf(CodeMalformed, "a proposal is standard or urgent")
	}
	if len(p.Referral) > 1 {
		return Errorf(CodeMalformed, "a proposal carries at most one referral")
	}
	for i := range p.Referral {
		if err := p.Referral[i].check(); err != nil {
			return err
		}
	}
	if !reasonForm.MatchString(p.Basis) {
		return Errorf(CodeReason, "a basis is a code of 1 to 32 lower-case letters, digits and hyphens")
	}
	return checkTextHashes(p.TextHashes()...)
}

func (i *Item) check() error {
	if len(i.Labels) > MaxLabels {
		return Errorf(CodeLabel, "an item has at most %d labels", MaxLabels)
	}
	for n, l := range i.Labels {
		if !labelForm.MatchString(l) {
			return Errorf(CodeLabel, "a label is 1 to %d lower-case letters, digits and inner . _ : -", MaxLabel)
		}
		if n > 0 && i.Labels[n-1] >= l {
			return Errorf(CodeLabel, "labels are sorted, each once")
		}
	}
	if len(i.Counts) == 0 || len(i.Counts) > 64 {
		return Errorf(CodeMalformed, "an item has 1 to 64 runs of signals")
	}
	for _, c := range i.Counts {
		if c.Count == 0 || c.Count > MaxSignals {
			return Errorf(CodeTooLarge, "an item has 1 to %d signals of a type", MaxSignals)
		}
		if _, ok := SignalTypeOf(c.Type); !ok {
			return Errorf(CodeSignalType, "no signal type of this name is known")
		}
	}
	return nil
}

// Matches refuses with OPENING_MISMATCH an opening that is not the one that the
// proposal commits to, and with BAD_SIGNAL or DUPLICATE_SIGNAL values that no
// entry may have. Signals without their values are taken as they are when hidden is
// true: a replica that comes later, or is of the digest tier, cannot have them.
func (p *Proposal) Matches(o *Opening, hidden bool) error {
	if len(o.Signals) != p.Signals() {
		return Errorf(CodeMismatch, "the opening has %d signals where the proposal has %d", len(o.Signals), p.Signals())
	}
	if _, err := o.Tier(); err != nil {
		return err
	}
	if o.Root() != p.Root {
		return Errorf(CodeMismatch, "the opening does not hash to the proposal's root")
	}
	n := 0
	for item := range p.Items {
		end := n + p.Items[item].Signals()
		if err := p.Items[item].matches(item, o.Signals[n:end], hidden); err != nil {
			return err
		}
		n = end
	}
	if hidden {
		return nil
	}
	return o.MatchTexts(p.TextHashes()...)
}

func (i *Item) matches(number int, signals []Opened, hidden bool) error {
	seen := newDistinct(signals)
	n := 0
	for _, c := range i.Counts {
		t := typeOf(c.Type)
		if t == nil {
			return Errorf(CodeSignalType, "no signal type of this name is known")
		}
		for range c.Count {
			o := &signals[n]
			n++
			if o.Hidden() {
				if !hidden {
					return Errorf(CodeMismatch, "a new proposal opens every signal")
				}
				if o.Keyed && o.Item != number {
					return Errorf(CodeMismatch, "signal %d of item %d is of another item", n-1, number)
				}
				continue
			}
			if o.Item != number || o.Signal.Type != c.Type {
				return Errorf(CodeMismatch, "signal %d of item %d is not of the item and type that the proposal says", n-1, number)
			}
			if err := t.listable(&o.Signal); err != nil {
				return err
			}
			if !seen.add(n - 1) {
				return Errorf(CodeDuplicate, "item %d lists one signal twice", number)
			}
		}
	}
	return nil
}
