// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// recovery counts a member that asks to go on with other sequencers. Those who ask
// for the same stand in a row behind the checkpoint from which they go on, so that
// nothing is between what was final and what they decide. Once as many ask as
// RecoveryQuorum says, it is done.
func recovery(v *view, op *spec.Signed, r *spec.Recover) error {
	clock, err := v.clock()
	if err != nil {
		return err
	}
	if r.Epoch != clock.Epoch+1 {
		return spec.Errorf(spec.CodeRecovery, "the recovery begins epoch %d, the next one is %d", r.Epoch, clock.Epoch+1)
	}
	for _, id := range r.Sequencers {
		if named, err := ifMember(v, id); err != nil {
			return err
		} else if named == nil {
			return spec.Errorf(spec.CodePolicy, "a sequencer is a member")
		}
	}
	asked, err := asking(v, op, r)
	if err != nil {
		return err
	}
	policy, err := v.policy()
	if err != nil {
		return err
	}
	if len(asked.Orgs) < RecoveryQuorum(int(clock.Members)) {
		return v.put(spec.RecoveryKey, asked)
	}
	v.delete(spec.RecoveryKey)
	next := *policy
	next.Sequencers, next.FinalityK = r.Sequencers, 0
	clock.Epoch++
	if err := setPolicy(v, &next); err != nil {
		return err
	}
	clock.Turn = spec.Recovered
	if err := v.setClock(); err != nil {
		return err
	}
	for _, id := range r.Sequencers {
		if err := v.put(spec.ReadyKey(id), &spec.ReadyRecord{Index: v.leaf - 1, Size: r.Size}); err != nil {
			return err
		}
	}
	return nil
}

// RecoveryQuorum is how many of n members recover a log whose sequencers were
// lost: two thirds, whatever the policy.
func RecoveryQuorum(n int) int { return spec.Fraction{Num: 2, Den: 3}.Of(n) }

// asking counts one more member for a recovery.
func asking(v *view, op *spec.Signed, r *spec.Recover) (*spec.RecoveryRecord, error) {
	asked := new(spec.RecoveryRecord)
	index := v.leaf - 1
	found, err := load(v, spec.RecoveryKey, asked)
	if err != nil {
		return nil, err
	}
	if digest := r.Digest(); !found || asked.Body != digest || asked.Next != index {
		if r.Size != index {
			return nil, spec.Errorf(spec.CodeRecovery, "the recovery goes on from size %d, the log has %d leaves", r.Size, index)
		}
		asked = &spec.RecoveryRecord{Body: digest}
	}
	if slices.Contains(asked.Orgs, op.Op.Org) {
		return nil, spec.Errorf(spec.CodePending, "%s asks for this recovery already", op.Op.Org)
	}
	asked.Orgs = append(asked.Orgs, op.Op.Org)
	slices.Sort(asked.Orgs)
	asked.Next = index + 1
	return asked, nil
}
