// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"regexp"
	"sort"
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
	Root     Hash   // RFC 6962 root over the commitments
	Basis    string // code of the ground on which it is proposed
	Urgency  uint64 // 0: standard
	Text     []byte // salted hash of the free text, or empty
	Evidence []byte // salted hash of the evidence reference, or empty
}

// Kind implements Body.
func (*Proposal) Kind() uint64 { return KindProposal }

// TextHashes implements Body.
func (p *Proposal) TextHashes() [][]byte { return [][]byte{p.Text, p.Evidence} }

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
	if p.Urgency != 0 {
		return Errorf(CodeNotEnabled, "urgent additions are not enabled")
	}
	if !reasonForm.MatchString(p.Basis) {
		return Errorf(CodeReason, "a basis is a code of 1 to 32 lower-case letters, digits and hyphens")
	}
	return checkTextHashes(p.Text, p.Evidence)
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
// entry may have. Erased signals are taken as they are when erased is true: a
// replica that comes later cannot have them.
func (p *Proposal) Matches(o *Opening, erased bool) error {
	if len(o.Signals) != p.Signals() {
		return Errorf(CodeMismatch, "the opening has %d signals where the proposal has %d", len(o.Signals), p.Signals())
	}
	if o.Root() != p.Root {
		return Errorf(CodeMismatch, "the opening does not hash to the proposal's root")
	}
	n := 0
	for item := range p.Items {
		end := n + p.Items[item].Signals()
		if err := p.Items[item].matches(item, o.Signals[n:end], erased); err != nil {
			return err
		}
		n = end
	}
	if erased {
		return nil
	}
	return o.MatchTexts(p.TextHashes()...)
}

func (i *Item) matches(number int, signals []Opened, erased bool) error {
	seen := make(map[string]bool, len(signals))
	n := 0
	for _, c := range i.Counts {
		for range c.Count {
			o := signals[n]
			n++
			if o.Erased {
				if !erased {
					return Errorf(CodeMismatch, "a new proposal opens every signal")
				}
				continue
			}
			if o.Item != number || o.Signal.Type != c.Type {
				return Errorf(CodeMismatch, "signal %d of item %d is not of the item and type that the proposal says", n-1, number)
			}
			if err := o.Signal.listable(); err != nil {
				return err
			}
			key := o.Signal.Type + "\x00" + string(o.Signal.Value)
			if seen[key] {
				return Errorf(CodeDuplicate, "item %d lists one signal twice", number)
			}
			seen[key] = true
		}
	}
	return nil
}

// CommitmentRoot is the RFC 6962 root over the commitments of signals.
func CommitmentRoot(signals []Opened) Hash {
	leaves := make([]Hash, len(signals))
	for i, s := range signals {
		c := s.Commitment()
		leaves[i] = LeafHash(c[:])
	}
	return TreeRoot(leaves)
}

// Choices of a vote.
const (
	Approve uint64 = 1
	Reject  uint64 = 2
	Abstain uint64 = 3
)

// A Vote is a member's signed ballot on a case.
type Vote struct {
	_      struct{} `cbor:",toarray"`
	Case   Hash
	Choice uint64
	Except []uint64 // numbers of items that the approval leaves out, ascending
	Reason string   // code, or empty
	Text   []byte   // salted hash, or empty
}

// Kind implements Body.
func (*Vote) Kind() uint64 { return KindVote }

// TextHashes implements Body.
func (v *Vote) TextHashes() [][]byte { return [][]byte{v.Text} }

// Check implements Body.
func (v *Vote) Check() error {
	if v.Choice < Approve || v.Choice > Abstain {
		return Errorf(CodeMalformed, "a vote is approve, reject or abstain")
	}
	if len(v.Except) > 0 && v.Choice != Approve || len(v.Except) > MaxItems {
		return Errorf(CodeMalformed, "only an approval leaves items out, at most %d", MaxItems)
	}
	if !sort.SliceIsSorted(v.Except, func(i, j int) bool { return v.Except[i] < v.Except[j] }) {
		return Errorf(CodeMalformed, "items left out are ascending")
	}
	for i, e := range v.Except {
		if e >= MaxItems || i > 0 && v.Except[i-1] == e {
			return Errorf(CodeMalformed, "items left out are numbers of items, each once")
		}
	}
	if v.Reason != "" && !reasonForm.MatchString(v.Reason) {
		return Errorf(CodeReason, "a reason is a code of 1 to 32 lower-case letters, digits and hyphens")
	}
	return checkTextHashes(v.Text)
}

// A Dispute claims that an entry should not be listed.
type Dispute struct {
	_      struct{} `cbor:",toarray"`
	Entry  Hash
	Reason string
	Text   []byte // salted hash, or empty
}

// Kind implements Body.
func (*Dispute) Kind() uint64 { return KindDispute }

// TextHashes implements Body.
func (d *Dispute) TextHashes() [][]byte { return [][]byte{d.Text} }

// Check implements Body.
func (d *Dispute) Check() error {
	if !reasonForm.MatchString(d.Reason) {
		return Errorf(CodeReason, "a reason is a code of 1 to 32 lower-case letters, digits and hyphens")
	}
	return checkTextHashes(d.Text)
}

// Actions of a membership operation.
const ActionEnrol uint64 = 1

// A Membership operation asks to enrol an organisation.
type Membership struct {
	_            struct{} `cbor:",toarray"`
	Action       uint64
	Organisation Organisation
	Text         []byte // salted hash, or empty
}

// Kind implements Body.
func (*Membership) Kind() uint64 { return KindMembership }

// TextHashes implements Body.
func (m *Membership) TextHashes() [][]byte { return [][]byte{m.Text} }

// Check implements Body.
func (m *Membership) Check() error {
	if m.Action != ActionEnrol {
		return Errorf(CodeNotEnabled, "membership action %d is not enabled", m.Action)
	}
	if err := m.Organisation.Check(); err != nil {
		return err
	}
	return checkTextHashes(m.Text)
}

func checkTextHashes(hashes ...[]byte) error {
	for _, h := range hashes {
		if len(h) != 0 && len(h) != len(Hash{}) {
			return Errorf(CodeMalformed, "a salted hash has %d bytes", len(Hash{}))
		}
	}
	return nil
}
