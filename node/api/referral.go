// SPDX-License-Identifier: Apache-2.0

package api

import (
	"regexp"
	"slices"
	"time"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// keyForm is that of an idempotency key.
var keyForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// forms are the words for the forms of a referral.
var forms = map[wire.ReferralForm]uint64{
	"notice": spec.FormNotice, "removal-order": spec.FormRemovalOrder, "national-law": spec.FormNationalLaw,
}

// referralOf reads the referral of a proposal, if it has one. What is wrong with
// its codes the rules say.
func referralOf(w *wire.Referral) (*Referral, error) {
	if w == nil {
		return nil, nil
	}
	form, ok := forms[w.Form]
	if !ok {
		return nil, wire.At("/referral/form", spec.Errorf(spec.CodeReferral, "a referral is a notice, a removal-order or under national-law"))
	}
	r := &Referral{ReferenceText: w.Reference, AuthorityText: w.Authority, LocatorText: w.Locator}
	r.Referral = spec.Referral{Form: form, Basis: w.Basis, State: w.State, Addressee: w.Addressee}
	for _, g := range w.Grounds {
		r.Grounds = append(r.Grounds, string(g))
	}
	slices.Sort(r.Grounds)
	r.Grounds = slices.Compact(r.Grounds)
	for _, t := range []struct {
		at   string
		from time.Time
		to   *uint64
	}{{"issued", w.Issued, &r.IssuedMS}, {"deadline", w.Deadline, &r.DeadlineMS}, {"preserve_until", w.PreserveUntil, &r.PreserveMS}} {
		if t.from.IsZero() {
			continue
		}
		if t.from.Year() < 1970 || t.from.Year() > 9999 {
			return nil, wire.At("/referral/"+t.at, spec.Errorf(spec.CodeReferral, "this is no time of a referral"))
		}
		*t.to = uint64(t.from.UnixMilli())
	}
	for _, text := range []string{w.Reference, w.Authority, w.Locator} {
		if len(text) > spec.MaxText {
			return nil, wire.At("/referral", spec.Errorf(spec.CodeTooLarge, "a text has at most %d bytes", spec.MaxText))
		}
	}
	return r, nil
}

func wireReferral(r *Referral) *wire.Referral {
	out := &wire.Referral{
		Basis: r.Basis, State: r.State, Addressee: r.Addressee,
		Issued: timeOf(r.IssuedMS), Deadline: timeOf(r.DeadlineMS), PreserveUntil: timeOf(r.PreserveMS),
		Reference: r.ReferenceText, Authority: r.AuthorityText, Locator: r.LocatorText,
	}
	for name, form := range forms {
		if form == r.Form {
			out.Form = name
		}
	}
	for _, g := range r.Grounds {
		out.Grounds = append(out.Grounds, wire.ReferralGrounds(g))
	}
	return out
}

// timeOf writes milliseconds, zero for none.
func timeOf(ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}
