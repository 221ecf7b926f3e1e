// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"github.com/tocsin-db/tocsin/spec"
)

// Beside is what comes with an operation.
type Beside struct {
	Opening *spec.Opening // nil when none was handed over
	// Attested says that the operation stands in a log that is being replayed:
	// then a proposal is applied without its opening, or with erased values, since
	// those who decided it held them, and what they found is in Admission.
	Attested  bool
	Admission *spec.Admission // nil when nothing was found
	// Tried says that the effects will not be carried out: then the values are not
	// examined, since what is found in them refuses nothing.
	Tried bool
}

// Apply decides one operation on a state and returns what it changes. A refusal
// is a *spec.Error with its code and changes nothing; any other error is a fault
// of the state below.
func Apply(st State, op *spec.Signed, b Beside) (*Effects, error) {
	v := newView(st)
	v.leaf++ // the operation's own leaf
	who, err := admit(v, op)
	if err != nil {
		return nil, err
	}
	v.who = who
	if err := checkOpening(op.Body, b.Opening, b.Attested); err != nil {
		return nil, err
	}
	if err := dispatch(v, op, &b); err != nil {
		return nil, err
	}
	v.effects.Hold, v.effects.weight = b.Opening != nil, v.weight
	return &v.effects, nil
}

func dispatch(v *view, op *spec.Signed, b *Beside) error {
	switch body := op.Body.(type) {
	case *spec.Proposal:
		return propose(v, op, body, b)
	case *spec.Vote:
		return vote(v, op, body)
	case *spec.Dispute:
		return dispute(v, op, body)
	case *spec.Withdraw:
		return withdraw(v, op, body)
	case *spec.Membership:
		return membership(v, op, body)
	case *spec.KeyChange:
		return keyChange(v, op, body)
	case *spec.PolicyChange:
		return policyChange(v, op, body)
	case *spec.TaxonomyChange:
		return taxonomyChange(v, op, body)
	case *spec.AllowChange:
		return allowChange(v, op, body)
	case *spec.Ready:
		return ready(v, op, body)
	case *spec.Recover:
		return recovery(v, op, body)
	case *spec.Applied:
		return receipt(v, op, body)
	case *spec.Actions:
		return actions(v, op, body)
	}
	return spec.Errorf(spec.CodeKind, "operation kind %d is not known here", op.Op.Kind)
}
