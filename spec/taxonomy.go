// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"regexp"
	"strings"
)

// Limits of a taxonomy.
const (
	MaxTerms      = 128
	MaxDefinition = 512 // bytes
)

// A Term is one word of the taxonomy. Its label is axis ‖ ":" ‖ code.
type Term struct {
	_      struct{} `cbor:",toarray"`
	Axis   string   // entity, content or behaviour
	Code   string
	Active bool // may be used in new proposals
	NameEN string
	NameFR string
	TextEN string // definition
	TextFR string
}

// Label is how items carry the term.
func (t *Term) Label() string { return t.Axis + ":" + t.Code }

// A Taxonomy is the consortium's shared words for what it lists. Terms are never
// taken away, only made inactive, so that old labels keep their meaning.
type Taxonomy struct {
	_       struct{} `cbor:",toarray"`
	Version uint64
	Terms   []Term // by label, ascending
}

var termCode = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$`)

// IsTerm reports whether a label claims to be of the taxonomy.
func IsTerm(label string) bool {
	axis, _, ok := strings.Cut(label, ":")
	return ok && isAxis(axis)
}

func isAxis(s string) bool { return s == "entity" || s == "content" || s == "behaviour" }

// Find returns the term of a label.
func (t *Taxonomy) Find(label string) (Term, bool) {
	for i := range t.Terms {
		if t.Terms[i].Label() == label {
			return t.Terms[i], true
		}
	}
	return Term{}, false
}

// Check refuses a taxonomy that is not in order.
func (t *Taxonomy) Check() error {
	if len(t.Terms) > MaxTerms {
		return Errorf(CodeTooLarge, "a taxonomy has at most %d terms", MaxTerms)
	}
	for i := range t.Terms {
		x := &t.Terms[i]
		if !isAxis(x.Axis) || !termCode.MatchString(x.Code) || !labelForm.MatchString(x.Label()) {
			return Errorf(CodeLabel, "a term is of the axis entity, content or behaviour and has a code")
		}
		if i > 0 && t.Terms[i-1].Label() >= x.Label() {
			return Errorf(CodeLabel, "terms stand in the order of their labels, each once")
		}
		for _, s := range []string{x.NameEN, x.NameFR, x.TextEN, x.TextFR} {
			if s == "" || len(s) > MaxDefinition || !plainText(s) {
				return Errorf(CodeLabel, "a term has a name and a definition of 1 to %d bytes in English and in French", MaxDefinition)
			}
		}
	}
	return nil
}

// A TaxonomyChange asks to put the next version of the taxonomy in force.
type TaxonomyChange struct {
	_        struct{} `cbor:",toarray"`
	Taxonomy Taxonomy
	Text     []byte // salted hash, or empty
}

// Kind implements Body.
func (*TaxonomyChange) Kind() uint64 { return KindTaxonomy }

// TextHashes implements Body.
func (c *TaxonomyChange) TextHashes() [][]byte { return [][]byte{c.Text} }

// Check implements Body.
func (c *TaxonomyChange) Check() error {
	if err := c.Taxonomy.Check(); err != nil {
		return err
	}
	return checkTextHashes(c.Text)
}

// DefaultTaxonomy is version 1, with which every consortium starts. It names no
// organisation: which entities there are is for the consortium to say.
func DefaultTaxonomy() Taxonomy {
	return Taxonomy{Version: 1, Terms: []Term{
		term("behaviour:glorification", "Glorification", "Apologie", "Praises an attack or its authors so as to move others to do the same.", "Loue un attentat ou ses auteurs de manière à en inciter d’autres à faire de même."),
		term("behaviour:incitement", "Incitement", "Provocation", "Calls for the commission of a terrorist offence.", "Appelle à commettre une infraction terroriste."),
		term("behaviour:instruction", "Instruction", "Instruction", "Teaches how to make or use weapons, or other methods, for a terrorist offence.", "Enseigne comment fabriquer ou employer des armes, ou d’autres méthodes, pour une infraction terroriste."),
		term("behaviour:recruitment", "Recruitment", "Recrutement", "Asks people to join or support a terrorist group.", "Sollicite l’adhésion ou le soutien à un groupe terroriste."),
		term("behaviour:threat", "Threat", "Menace", "Threatens to commit a terrorist offence.", "Menace de commettre une infraction terroriste."),
		term("content:document", "Document", "Document", "A text, manual, magazine or other document.", "Un texte, un manuel, une revue ou un autre document."),
		term("content:image", "Image", "Image", "A still or animated picture.", "Une image fixe ou animée."),
		term("content:recording-of-attack", "Recording of an attack", "Enregistrement d’un attentat", "Shows an attack, recorded or broadcast by its authors or their accomplices.", "Montre un attentat, enregistré ou diffusé par ses auteurs ou leurs complices."),
		term("content:sound", "Sound", "Son", "A speech, a song or another sound recording.", "Un discours, un chant ou un autre enregistrement sonore."),
		term("content:video", "Video", "Vidéo", "A moving picture.", "Une image animée avec ou sans son."),
		term("entity:designated", "Designated entity", "Entité désignée", "Made by or for a person or group on a public list of designated terrorists.", "Produit par ou pour une personne ou un groupe inscrit sur une liste publique de terroristes désignés."),
		term("entity:not-designated", "Other entity", "Autre entité", "Made by or for a person or group that is on no such list.", "Produit par ou pour une personne ou un groupe qui n’est inscrit sur aucune de ces listes."),
	}}
}

func term(label, nameEN, nameFR, textEN, textFR string) Term {
	axis, code, _ := strings.Cut(label, ":")
	return Term{Axis: axis, Code: code, Active: true, NameEN: nameEN, NameFR: nameFR, TextEN: textEN, TextFR: textFR}
}
