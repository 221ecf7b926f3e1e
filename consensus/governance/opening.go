// SPDX-License-Identifier: Apache-2.0

package governance

import "github.com/tocsin-db/tocsin/spec"

// checkOpening refuses an operation whose opening is missing or is not the one
// that it commits to.
func checkOpening(body spec.Body, o *spec.Opening, attested bool) error {
	p, isProposal := body.(*spec.Proposal)
	if o == nil {
		if attested || !isProposal && noTexts(body) {
			return nil
		}
		return spec.Errorf(spec.CodeOpening, "the operation comes without the opening that it commits to")
	}
	if isProposal {
		return p.Matches(o, attested)
	}
	if len(o.Signals) != 0 {
		return spec.Errorf(spec.CodeMismatch, "only a proposal opens signals")
	}
	if noTexts(body) {
		return spec.Errorf(spec.CodeMismatch, "the operation commits to nothing that could be opened")
	}
	return o.MatchTexts(body.TextHashes()...)
}

func noTexts(body spec.Body) bool {
	for _, h := range body.TextHashes() {
		if len(h) != 0 {
			return false
		}
	}
	return true
}
