// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// mayDo lists the kinds of operation that each role may sign. What is not listed
// is refused. allowed narrows some of them.
var mayDo = map[string]map[uint64]bool{
	spec.RoleMember: {
		spec.KindProposal: true, spec.KindVote: true, spec.KindDispute: true, spec.KindWithdraw: true, spec.KindMembership: true,
		spec.KindKey: true, spec.KindPolicy: true, spec.KindReady: true, spec.KindReceipt: true, spec.KindTaxonomy: true,
		spec.KindAllow: true, spec.KindAction: true, spec.KindRecover: true,
	},
	spec.RoleReader: {
		spec.KindDispute: true, spec.KindWithdraw: true, spec.KindMembership: true, spec.KindKey: true, spec.KindReceipt: true, spec.KindAction: true,
	},
	spec.RoleReferrer: {spec.KindProposal: true, spec.KindWithdraw: true, spec.KindMembership: true, spec.KindKey: true},
	spec.RoleAuditor:  {spec.KindDispute: true, spec.KindWithdraw: true, spec.KindMembership: true, spec.KindKey: true},
}

// admit checks who signed the operation, for which consortium and epoch, and that
// it was not applied before; it takes the sequence number and returns the signer.
func admit(v *view, op *spec.Signed) (*spec.OrgRecord, error) {
	genesis, err := mustShare[spec.GenesisRecord](v, spec.GenesisKey)
	if err != nil {
		return nil, err
	}
	who, err := shared[spec.OrgRecord](v, spec.OrgKey(op.Op.Org))
	if err != nil {
		return nil, err
	}
	if who == nil {
		return nil, spec.Errorf(spec.CodeOrg, "the signing organisation is not enrolled")
	}
	key, err := keyNamed(who, op.Op.Key)
	if err != nil {
		return nil, err
	}
	if !op.Verify(genesis.Origin, key) {
		return nil, spec.Errorf(spec.CodeSignature, "the signature does not hold for this consortium and key")
	}
	if err := allowed(who, op.Body); err != nil {
		return nil, err
	}
	clock, err := v.clock()
	if err != nil {
		return nil, err
	}
	if clock.TimeMS == 0 {
		return nil, spec.Errorf(spec.CodeNoTime, "the consortium has no time yet: its first checkpoint is not cosigned")
	}
	if op.Op.Epoch != clock.Epoch {
		return nil, spec.Errorf(spec.CodeEpoch, "the operation is for epoch %d, the consortium is in epoch %d", op.Op.Epoch, clock.Epoch)
	}
	if clock.Turn == spec.Recovered {
		return nil, spec.Errorf(spec.CodeRecovery, "nothing follows on a recovery in its group")
	}
	if !slices.Contains(clock.Schemas, op.Op.Version) {
		return nil, spec.Errorf(spec.CodeVersion, "operations of version %d are not taken under the policy in force", op.Op.Version)
	}
	if _, recovers := op.Body.(*spec.Recover); recovers {
		return who, nil // its place in the log stands for a number
	}
	return who, takeSeq(v, op)
}

// keyNamed finds the op key that an operation names.
func keyNamed(who *spec.OrgRecord, id spec.KeyID) (spec.PublicKey, error) {
	for _, k := range who.OpKeys() {
		if k.ID() == id {
			return k, nil
		}
	}
	for _, k := range who.Revoked {
		if k.ID() == id {
			return spec.PublicKey{}, spec.Errorf(spec.CodeRevoked, "the signing key of %s was revoked", who.Organisation.ID)
		}
	}
	return spec.PublicKey{}, spec.Errorf(spec.CodeKey, "the signing key is not one of %s", who.Organisation.ID)
}

// allowed asks whether the signer's role may sign this.
func allowed(who *spec.OrgRecord, body spec.Body) error {
	role, id := who.Organisation.Role, who.Organisation.ID
	if !mayDo[role][body.Kind()] {
		return spec.Errorf(spec.CodeRole, "a %s may not sign a %s", role, spec.KindName(body.Kind()))
	}
	var bad string
	switch b := body.(type) {
	case *spec.Proposal:
		if role == spec.RoleReferrer && len(b.Referral) == 0 {
			bad = "propose without a referral"
		}
	case *spec.Dispute:
		if role != spec.RoleMember && b.Freeze {
			bad = "suspend an entry"
		}
	case *spec.Membership:
		if (b.Action == spec.ActionLeave) != (b.Org == id) {
			bad = "leave for another, or expel or enrol itself"
		} else if role != spec.RoleMember && b.Action != spec.ActionLeave {
			bad = "enrol or expel"
		}
	case *spec.KeyChange:
		if role != spec.RoleMember && b.Org != id {
			bad = "change keys of another"
		}
	}
	if bad != "" {
		return spec.Errorf(spec.CodeRole, "a %s may not %s", role, bad)
	}
	return nil
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
