// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/rand"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/spec"
)

// Propose implements api.Backend.
func (n *Node) Propose(ctx context.Context, p api.Proposal) (spec.Hash, error) {
	body, opening, err := blind(p)
	if err != nil {
		return spec.Hash{}, err
	}
	if p.Key != "" {
		return n.submitOnce(ctx, p.Key, body, opening)
	}
	return n.submitted(ctx, body, opening)
}

// blind makes the proposal and the opening of items: fresh salts, commitments,
// their root.
func blind(p api.Proposal) (*spec.Proposal, *spec.Opening, error) {
	body := &spec.Proposal{Basis: p.Basis}
	n := 0
	for i := range p.Items {
		n += len(p.Items[i].Signals)
	}
	opening := &spec.Opening{Signals: make([]spec.Opened, 0, n)}
	for i, item := range p.Items {
		var counts []spec.Count
		for _, s := range item.Signals {
			if last := len(counts) - 1; last >= 0 && counts[last].Type == s.Type {
				counts[last].Count++
			} else {
				counts = append(counts, spec.Count{Type: s.Type, Count: 1})
			}
			opening.Signals = append(opening.Signals, spec.Opened{Item: i, Signal: s})
		}
		body.Items = append(body.Items, spec.Item{Labels: item.Labels, Counts: counts})
	}
	salts := make([]byte, spec.SaltSize*len(opening.Signals))
	rand.Read(salts)
	for i := range opening.Signals {
		copy(opening.Signals[i].Salt[:], salts[spec.SaltSize*i:])
	}
	text := salted(p.Text)
	body.Text = text.Hash()
	opening.Texts = []spec.Text{text, {}}
	if p.Urgent {
		body.Urgency = spec.Urgent
	}
	if p.Referral != nil {
		refer(body, opening, p.Referral)
	}
	if err := body.Check(); err != nil {
		return nil, nil, err
	}
	body.Root = opening.Root()
	return body, opening, body.Matches(opening, false)
}

// refer adds a referral, with its texts in the order of the body's hashes.
func refer(body *spec.Proposal, opening *spec.Opening, from *api.Referral) {
	r := from.Referral
	for _, t := range []struct {
		text string
		hash *[]byte
	}{{from.ReferenceText, &r.Reference}, {from.AuthorityText, &r.Authority}, {from.LocatorText, &r.Locator}} {
		s := salted(t.text)
		*t.hash = s.Hash()
		opening.Texts = append(opening.Texts, s)
	}
	body.Referral = []spec.Referral{r}
}

// salted gives a text its salt; no text has none.
func salted(text string) spec.Text {
	if text == "" {
		return spec.Text{}
	}
	salt := make([]byte, spec.SaltSize)
	rand.Read(salt)
	return spec.Text{Salt: salt, Text: text}
}

// textOpening opens the one text of an operation, if there is one.
func textOpening(t spec.Text) *spec.Opening {
	if len(t.Salt) == 0 {
		return nil
	}
	return &spec.Opening{Texts: []spec.Text{t}}
}

// Vote implements api.Backend. Where this site remembers sightings or has a list of
// lawful content, the vote says how much each item of an addition would hit there.
func (n *Node) Vote(ctx context.Context, b api.Ballot) (api.Cast, error) {
	text := salted(b.Text)
	blast, err := n.blast(ctx, b.Case)
	if err != nil {
		return api.Cast{}, err
	}
	body := &spec.Vote{Case: b.Case, Choice: b.Choice, Except: b.Except, Override: b.Override, Reason: b.Reason, Text: text.Hash(), Blast: blast}
	id, err := n.submitted(ctx, body, textOpening(text))
	return api.Cast{ID: id, Blast: blast}, err
}

// Dispute implements api.Backend.
func (n *Node) Dispute(ctx context.Context, c api.Claim) (spec.Hash, error) {
	text := salted(c.Text)
	body := &spec.Dispute{Entry: c.Entry, Reason: c.Reason, Signals: c.Signals, Freeze: c.Freeze, Text: text.Hash()}
	return n.submitted(ctx, body, textOpening(text))
}

// Submit implements api.Backend.
func (n *Node) Submit(ctx context.Context, text string, body func(hash []byte) spec.Body) (spec.Hash, error) {
	t := salted(text)
	return n.submitted(ctx, body(t.Hash()), textOpening(t))
}

func (n *Node) submitted(ctx context.Context, body spec.Body, opening *spec.Opening) (spec.Hash, error) {
	out, err := n.submit(ctx, body, opening)
	return out.ID, err
}
