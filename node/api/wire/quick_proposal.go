// SPDX-License-Identifier: Apache-2.0

package wire

// Quick reads a proposal without a referral, written plainly: see BatchQuery.Quick.
// When it returns false, v is as it was.
func (v *ProposalRequest) Quick(b []byte) bool {
	var q ProposalRequest
	var basis, key, text, urgent bool
	r := plainReader{rest: b}
	r.object(func(name string) {
		switch {
		case name == "basis" && !basis:
			q.Basis, basis = r.text(), true
		case name == "idempotency_key" && !key:
			q.IdempotencyKey, key = r.text(), true
		case name == "text" && !text:
			q.Text, text = r.text(), true
		case name == "urgent" && !urgent:
			q.Urgent, urgent = r.truth(), true
		case name == "items" && q.Items == nil:
			q.Items = list(&r, r.item)
		default:
			r.bad = true
		}
	})
	r.space()
	if r.bad || len(r.rest) > 0 {
		return false
	}
	*v = q
	return true
}

func (r *plainReader) item() (i ProposalItem) {
	r.object(func(name string) {
		switch {
		case name == "labels" && i.Labels == nil:
			i.Labels = list(r, r.text)
		case name == "signals" && i.Signals == nil:
			i.Signals = list(r, r.signal)
		default:
			r.bad = true
		}
	})
	return i
}

// truth takes true or false.
func (r *plainReader) truth() bool {
	r.space()
	for _, word := range [...]string{"true", "false"} {
		if len(r.rest) >= len(word) && string(r.rest[:len(word)]) == word {
			r.rest = r.rest[len(word):]
			return word == "true"
		}
	}
	r.bad = true
	return false
}
