// SPDX-License-Identifier: Apache-2.0

package spec

// Actions of a membership operation. Numbers are never reused.
const (
	ActionEnrol uint64 = 1
	ActionExpel uint64 = 2
	ActionLeave uint64 = 3
)

// A Membership operation asks to enrol or to expel an organisation, or tells that
// the signing one leaves.
type Membership struct {
	_      struct{} `cbor:",toarray"`
	Action uint64
	Org    string         // whom it is about
	Card   []Organisation // the card of an enrolment, else none
	Proofs []Proof        // that its keys are held, of an enrolment, else none
	Text   []byte         // salted hash, or empty
}

// Enrolment asks to enrol the organisation of a card.
func Enrolment(card Organisation, proofs []Proof) *Membership {
	return &Membership{Action: ActionEnrol, Org: card.ID, Card: []Organisation{card}, Proofs: proofs}
}

// Kind implements Body.
func (*Membership) Kind() uint64 { return KindMembership }

// TextHashes implements Body.
func (m *Membership) TextHashes() [][]byte { return [][]byte{m.Text} }

// Check implements Body.
func (m *Membership) Check() error {
	if m.Action < ActionEnrol || m.Action > ActionLeave {
		return Errorf(CodeMalformed, "a membership operation enrols, expels or leaves")
	}
	if !orgID.MatchString(m.Org) {
		return Errorf(CodeCard, "a membership operation names an organisation")
	}
	if (len(m.Card) == 1) != (m.Action == ActionEnrol) || len(m.Card) > 1 {
		return Errorf(CodeCard, "an enrolment carries one card, nothing else does")
	}
	for i := range m.Card {
		if m.Card[i].ID != m.Org {
			return Errorf(CodeCard, "the card is of another organisation")
		}
		if err := m.Card[i].Check(); err != nil {
			return err
		}
		if err := CheckCardProofs(&m.Card[i], m.Proofs); err != nil {
			return err
		}
	}
	if len(m.Card) == 0 && len(m.Proofs) != 0 {
		return Errorf(CodeCard, "only a card has its keys proved")
	}
	return checkTextHashes(m.Text)
}
