// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"github.com/tocsin-db/tocsin/spec"
)

// Apply decides one operation on a state and returns what it changes. A refusal
// is a *spec.Error with its code and changes nothing; any other error is a fault
// of the state below. opening is nil when none was handed over.
//
// attested says that the operation stands in a log that is being replayed: then a
// proposal is applied without its opening, or with erased values, since those who
// decided it held them.
func Apply(st State, op *spec.Signed, opening *spec.Opening, attested bool) (*Effects, error) {
	v := newView(st)
	v.leaf++ // the operation's own leaf
	if err := admit(v, op); err != nil {
		return nil, err
	}
	if err := checkOpening(op.Body, opening, attested); err != nil {
		return nil, err
	}
	var err error
	switch b := op.Body.(type) {
	case *spec.Proposal:
		err = propose(v, op, b)
	case *spec.Vote:
		err = vote(v, op, b)
	case *spec.Dispute:
		err = dispute(v, op, b)
	case *spec.Membership:
		err = enrol(v, op, b)
	default:
		err = spec.Errorf(spec.CodeKind, "operation kind %d is not known here", op.Op.Kind)
	}
	if err != nil {
		return nil, err
	}
	v.effects.Hold = opening != nil
	return &v.effects, nil
}

// mayDo lists the kinds of operation that each role may sign. What is not listed
// is refused.
var mayDo = map[string]map[uint64]bool{
	spec.RoleMember:   {spec.KindProposal: true, spec.KindVote: true, spec.KindDispute: true, spec.KindMembership: true},
	spec.RoleReader:   {spec.KindDispute: true},
	spec.RoleReferrer: {},
	spec.RoleAuditor:  {spec.KindDispute: true},
}

// admit checks who signed the operation, for which consortium and epoch, and that
// it was not applied before; it takes the sequence number.
func admit(v *view, op *spec.Signed) error {
	var genesis spec.GenesisRecord
	if err := need(v, spec.GenesisKey, &genesis); err != nil {
		return err
	}
	var org spec.OrgRecord
	found, err := load(v, spec.OrgKey(op.Op.Org), &org)
	if err != nil {
		return err
	}
	if !found {
		return spec.Errorf(spec.CodeOrg, "the signing organisation is not enrolled")
	}
	if org.Organisation.OpKey.ID() != op.Op.Key {
		return spec.Errorf(spec.CodeKey, "the signing key is not one of %s", op.Op.Org)
	}
	if !op.Verify(genesis.Origin, org.Organisation.OpKey) {
		return spec.Errorf(spec.CodeSignature, "the signature does not hold for this consortium and key")
	}
	if !mayDo[org.Organisation.Role][op.Op.Kind] {
		return spec.Errorf(spec.CodeRole, "a %s may not sign an operation of kind %d", org.Organisation.Role, op.Op.Kind)
	}
	var clock spec.Clock
	if err := need(v, spec.ClockKey, &clock); err != nil {
		return err
	}
	if op.Op.Epoch != clock.Epoch {
		return spec.Errorf(spec.CodeEpoch, "the operation is for epoch %d, the consortium is in epoch %d", op.Op.Epoch, clock.Epoch)
	}
	return takeSeq(v, op)
}

// takeSeq refuses a sequence number that was taken or that is too old to tell.
func takeSeq(v *view, op *spec.Signed) error {
	key := spec.SeqKey(op.Op.Org, op.Op.Key)
	var s spec.SeqRecord
	if _, err := load(v, key, &s); err != nil {
		return err
	}
	n := op.Op.Seq
	if n == 0 || n > 1<<62 {
		return spec.Errorf(spec.CodeMalformed, "sequence numbers count from 1")
	}
	if n+spec.Window <= s.Highest {
		return spec.Errorf(spec.CodeReplayed, "the sequence number is %d or more behind the highest", spec.Window)
	}
	if n > s.Highest {
		forget(&s, n)
		s.Highest = n
	} else if taken(&s, n) {
		return spec.Errorf(spec.CodeReplayed, "the sequence number was used before")
	}
	s.Taken[n%spec.Window/8] |= 1 << (n % 8)
	return v.put(key, &s)
}

func taken(s *spec.SeqRecord, n uint64) bool {
	return s.Taken[n%spec.Window/8]&(1<<(n%8)) != 0
}

// forget clears the numbers that fall out of the window when it moves up to n.
func forget(s *spec.SeqRecord, n uint64) {
	if n-s.Highest >= spec.Window {
		s.Taken = [spec.Window / 8]byte{}
		return
	}
	for i := s.Highest + 1; i <= n; i++ {
		s.Taken[i%spec.Window/8] &^= 1 << (i % 8)
	}
}

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
