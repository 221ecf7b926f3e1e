// SPDX-License-Identifier: Apache-2.0

package spec

import "slices"

// Forms of a referral.
const (
	FormNotice       uint64 = 1 // without legal force
	FormRemovalOrder uint64 = 2 // Regulation (EU) 2021/784, Annex I
	FormNationalLaw  uint64 = 3 // an order under the law of the issuing state
)

// Grounds of a removal order, after the boxes of Article 2(7) of Regulation (EU)
// 2021/784.
var grounds = []string{"incitement", "instruction", "participation", "solicitation", "threat"}

// A Referral is the legal frame in which an authority asks for a listing. Codes
// and times are public; what names people or places is in salted hashes.
type Referral struct {
	_          struct{} `cbor:",toarray"`
	Form       uint64
	Basis      string   // code of the legal basis
	State      string   // that issues it, ISO 3166-1
	Addressee  string   // state of the provider that it is addressed to, or empty
	Grounds    []string // sorted, each once
	IssuedMS   uint64   // date and time of issue
	DeadlineMS uint64   // until which a decision is asked for, 0: none
	PreserveMS uint64   // until which evidence is to be kept, 0: not asked
	Reference  []byte   // salted hash of the reference number, or empty
	Authority  []byte   // salted hash of the authority and its contact point, or empty
	Locator    []byte   // salted hash of the address and what else identifies the content, or empty
}

func (r *Referral) check() error {
	if r.Form < FormNotice || r.Form > FormNationalLaw {
		return Errorf(CodeReferral, "a referral is a notice, a removal order or an order under national law")
	}
	if err := checkReason(r.Basis); err != nil {
		return err
	}
	if !jurisdiction.MatchString(r.State) || r.Addressee != "" && !jurisdiction.MatchString(r.Addressee) {
		return Errorf(CodeReferral, "the states of a referral are ISO 3166-1 codes")
	}
	for i, g := range r.Grounds {
		if !slices.Contains(grounds, g) || i > 0 && r.Grounds[i-1] >= g {
			return Errorf(CodeReferral, "grounds are codes of operations.md, sorted, each once")
		}
	}
	if r.DeadlineMS != 0 && r.DeadlineMS < r.IssuedMS || r.PreserveMS != 0 && r.PreserveMS < r.IssuedMS {
		return Errorf(CodeReferral, "a referral ends after it was issued")
	}
	if r.Form != FormRemovalOrder {
		return nil
	}
	if len(r.Grounds) == 0 || r.Addressee == "" || r.IssuedMS == 0 || len(r.Reference) == 0 || len(r.Authority) == 0 || len(r.Locator) == 0 {
		return Errorf(CodeReferral, "a removal order names its ground, addressee, time of issue, reference, authority and the content's address")
	}
	return nil
}
