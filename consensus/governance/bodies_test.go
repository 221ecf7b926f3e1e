// SPDX-License-Identifier: Apache-2.0

package governance_test

import "github.com/tocsin-db/tocsin/spec"

func enrolment(o spec.Organisation) *spec.Membership {
	return spec.Enrolment(o, spec.ProveCard(&o, privateOf(o.OpKey), privateOf(o.CosignKey), privateOf(o.Libp2pKey)), spec.TierFull)
}

// proved completes a change of keys by the new key's signature.
func proved(k *spec.KeyChange) *spec.KeyChange {
	for _, n := range k.New {
		k.Proof = []spec.Proof{spec.NewKeyCard(k.Org, k.Use, privateOf(n)).Proof}
	}
	return k
}
