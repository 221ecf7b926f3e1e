// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// recovery counts a member that asks to go on with other sequencers. Those who ask
// for the same stand in a row behind the checkpoint from which they go on, first in
// their group, so that nothing is between what was final and what they decide. Once
// as many ask as spec.RecoveryQuorum says, it is done, and nothing follows in the
// group. All that is asked here a link can show (tlog.Recovery), but that a new
// cosign key was never anyone's.
func recovery(v *view, op *spec.Signed, r *spec.Recover) error {
	clock, err := v.clock()
	if err != nil {
		return err
	}
	if op.Op.Seq != 0 || op.Op.MadeMS != 0 {
		return spec.Errorf(spec.CodeMalformed, "the operation of a recovery has sequence number and time 0")
	}
	if r.Epoch != clock.Epoch+1 {
		return spec.Errorf(spec.CodeRecovery, "the recovery begins epoch %d, the next one is %d", r.Epoch, clock.Epoch+1)
	}
	asked, err := asking(v, op, r)
	if err != nil {
		return err
	}
	if err := sit(v, r, func(*spec.OrgRecord) error { return nil }); err != nil {
		return err
	}
	if err := v.put(spec.RecoveryKey, asked); err != nil || len(asked.Orgs) < spec.RecoveryQuorum(clock.Members) {
		return err
	}
	return goOn(v, clock, r)
}

// goOn carries a recovery out. Its record stays until the panel was derived.
func goOn(v *view, clock *spec.Clock, r *spec.Recover) error {
	policy, err := v.policy()
	if err != nil {
		return err
	}
	next := *policy
	next.Sequencers, next.FinalityK = r.Sequencers(), 0
	clock.Epoch++
	if err := setPolicy(v, &next); err != nil {
		return err
	}
	clock.Turn = spec.Recovered
	if err := v.setClock(); err != nil {
		return err
	}
	return sit(v, r, func(o *spec.OrgRecord) error {
		id := o.Organisation.ID
		if err := v.put(spec.OrgKey(id), o); err != nil {
			return err
		}
		return v.put(spec.ReadyKey(id), &spec.ReadyRecord{Index: v.leaf - 1, Size: r.Size})
	})
}

// sit calls fn with the member of each seat, as it is with the cosign key of that
// seat: its own, or one that is and was no one's.
func sit(v *view, r *spec.Recover, fn func(*spec.OrgRecord) error) error {
	for _, s := range r.Seats {
		var o spec.OrgRecord
		found, err := load(v, spec.OrgKey(s.Org), &o)
		if err != nil {
			return err
		}
		if !found || o.Organisation.Role != spec.RoleMember {
			return spec.Errorf(spec.CodePolicy, "a sequencer is a member")
		}
		if s.Key != o.Organisation.CosignKey {
			if err := unused(v, s.Key); err != nil {
				return err
			}
		}
		o.Organisation.CosignKey = s.Key
		if err := fn(&o); err != nil {
			return err
		}
	}
	return nil
}

// asking counts one more member for a recovery: a row begins where a group does, and
// goes on while nothing comes between.
func asking(v *view, op *spec.Signed, r *spec.Recover) (*spec.RecoveryRecord, error) {
	asked := new(spec.RecoveryRecord)
	index := v.leaf - 1
	found, err := load(v, spec.RecoveryKey, asked)
	if err != nil {
		return nil, err
	}
	if digest := r.Digest(); !found || asked.Body != digest || asked.Size+uint64(len(asked.Orgs)) != index {
		root, ok := v.GroupEnd()
		switch {
		case r.Size != index:
			return nil, spec.Errorf(spec.CodeRecovery, "the recovery goes on from size %d, the log has %d leaves", r.Size, index)
		case !ok:
			return nil, spec.Errorf(spec.CodeRecovery, "the recovery goes on from within a group of leaves")
		case root != r.Root:
			return nil, spec.Errorf(spec.CodeRecovery, "the recovery goes on from another log of %d leaves", index)
		}
		asked = &spec.RecoveryRecord{Body: digest, Size: r.Size}
	}
	if slices.Contains(asked.Orgs, op.Op.Org) {
		return nil, spec.Errorf(spec.CodePending, "%s asks for this recovery already", op.Op.Org)
	}
	asked.Orgs = append(asked.Orgs, op.Op.Org)
	return asked, nil
}

// recoveredFrom is the size from which the recovery of this group went on, 0 when
// there is none.
func recoveredFrom(v *view, clock *spec.Clock) (uint64, error) {
	if clock.Turn != spec.Recovered {
		return 0, nil
	}
	var done spec.RecoveryRecord
	if err := need(v, spec.RecoveryKey, &done); err != nil {
		return 0, err
	}
	v.delete(spec.RecoveryKey)
	return done.Size, nil
}
