// SPDX-License-Identifier: Apache-2.0

package spec

// Actions of a membership operation. Numbers are never reused.
const (
	ActionEnrol uint64 = 1
	ActionExpel uint64 = 2
	ActionLeave uint64 = 3
	ActionTier  uint64 = 4
)

// Tiers say how much of the values an organisation's node receives.
const (
	TierFull   = "full"   // all that its role may see
	TierDigest = "digest" // no value: of each signal its key and commitment. Of readers alone
)

// CheckTier refuses with BAD_CARD a tier that a role cannot have.
func CheckTier(role, tier string) error {
	switch {
	case tier != TierFull && tier != TierDigest:
		return Errorf(CodeCard, "a tier is full or digest")
	case tier == TierDigest && role != RoleReader:
		return Errorf(CodeCard, "the digest tier is for readers")
	}
	return nil
}

// A Membership operation asks to enrol or to expel an organisation or to change its
// tier, or tells that the signing one leaves.
type Membership struct {
	_      struct{} `cbor:",toarray"`
	Action uint64
	Org    string         // whom it is about
	Card   []Organisation // the card of an enrolment, else none
	Proofs []Proof        // that its keys are held, of an enrolment, else none
	Tier   string         // of an enrolment and of a change of tier, else empty
	Text   []byte         // salted hash, or empty
}

// Enrolment asks to enrol the organisation of a card in a tier.
func Enrolment(card Organisation, proofs []Proof, tier string) *Membership {
	return &Membership{Action: ActionEnrol, Org: card.ID, Card: []Organisation{card}, Proofs: proofs, Tier: tier}
}

// Kind implements Body.
func (*Membership) Kind() uint64 { return KindMembership }

// TextHashes implements Body.
func (m *Membership) TextHashes() [][]byte { return [][]byte{m.Text} }

// Check implements Body.
func (m *Membership) Check() error {
	if m.Action < ActionEnrol || m.Action > ActionTier {
		return Errorf(CodeMalformed, "a membership operation enrols, expels, leaves or changes a tier")
	}
	if !orgID.MatchString(m.Org) {
		return Errorf(CodeCard, "a membership operation names an organisation")
	}
	if (len(m.Card) == 1) != (m.Action == ActionEnrol) || len(m.Card) > 1 {
		return Errorf(CodeCard, "an enrolment carries one card, nothing else does")
	}
	if err := m.checkTier(); err != nil {
		return err
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

func (m *Membership) checkTier() error {
	switch m.Action {
	case ActionEnrol:
		return CheckTier(m.Card[0].Role, m.Tier)
	case ActionTier:
		return CheckTier(RoleReader, m.Tier)
	}
	if m.Tier != "" {
		return Errorf(CodeMalformed, "only an enrolment and a change of tier name a tier")
	}
	return nil
}
