// SPDX-License-Identifier: Apache-2.0

package spec

import "slices"

func checkTextHashes(hashes ...[]byte) error {
	for _, h := range hashes {
		if len(h) != 0 && len(h) != len(Hash{}) {
			return Errorf(CodeMalformed, "a salted hash has %d bytes", len(Hash{}))
		}
	}
	return nil
}

func checkReason(code string) error {
	if !reasonForm.MatchString(code) {
		return Errorf(CodeReason, "a reason is a code of 1 to 32 lower-case letters, digits and hyphens")
	}
	return nil
}

// checkNumbers refuses numbers that are not ascending, each once, below limit.
func checkNumbers(what string, numbers []uint64, limit uint64) error {
	if uint64(len(numbers)) > limit {
		return Errorf(CodeTooLarge, "at most %d %s", limit, what)
	}
	for i, n := range numbers {
		if n >= limit || i > 0 && numbers[i-1] >= n {
			return Errorf(CodeMalformed, "%s are numbers below %d, ascending, each once", what, limit)
		}
	}
	return nil
}

// DecodeBody reads the body of an operation of this kind and checks it.
func DecodeBody(kind uint64, raw []byte) (Body, error) {
	body := newBody(kind)
	if body == nil {
		return nil, Errorf(CodeKind, "operation kind %d is not known here", kind)
	}
	if err := Decode(raw, body); err != nil {
		return nil, err
	}
	return body, body.Check()
}

func newBody(kind uint64) Body {
	switch kind {
	case KindProposal:
		return new(Proposal)
	case KindVote:
		return new(Vote)
	case KindDispute:
		return new(Dispute)
	case KindWithdraw:
		return new(Withdraw)
	case KindMembership:
		return new(Membership)
	case KindKey:
		return new(KeyChange)
	case KindPolicy:
		return new(PolicyChange)
	case KindReady:
		return new(Ready)
	case KindRecover:
		return new(Recover)
	case KindReceipt:
		return new(Applied)
	case KindTaxonomy:
		return new(TaxonomyChange)
	case KindAllow:
		return new(AllowChange)
	case KindAction:
		return new(Actions)
	}
	return nil
}

var opensCase = []uint64{KindProposal, KindDispute, KindMembership, KindKey, KindPolicy, KindTaxonomy, KindAllow}

// OpensCase reports whether operations of this kind open a case.
func OpensCase(kind uint64) bool { return slices.Contains(opensCase, kind) }

var kindNames = [...]string{
	KindProposal: "addition", KindVote: "vote", KindDispute: "dispute", KindWithdraw: "withdrawal", KindMembership: "membership",
	KindKey: "key change", KindPolicy: "policy change", KindReady: "readiness", KindRecover: "recovery", KindReceipt: "propagation receipt",
	KindTaxonomy: "taxonomy change", KindAllow: "allow-list change", KindAction: "action report",
}

// KindName returns the words for a kind of operation, or of the case that it
// opens.
func KindName(kind uint64) string {
	if kind == 0 || kind >= uint64(len(kindNames)) {
		return "unknown"
	}
	return kindNames[kind]
}
