// SPDX-License-Identifier: Apache-2.0

package receipt_test

import (
	"context"
	"slices"
	"testing"

	"github.com/tocsin-db/tocsin/node/receipt"
	"github.com/tocsin-db/tocsin/spec"
	verify "github.com/tocsin-db/tocsin/spec/tlog/receipt"
)

// An entry that a stolen key helped to list is retracted by a dispute that nobody filed:
// the rules did. Its receipt says so.
func TestTheReceiptOfWhatAReviewEnded(t *testing.T) {
	h := newStory(t)
	entry, _ := h.list(1)
	k := &spec.KeyChange{Org: "bravo", Use: spec.UseOp, Old: []spec.PublicKey{public(6)}, New: []spec.PublicKey{public(99)}, Since: 1, Reason: "stolen"}
	k.Proof = []spec.Proof{spec.NewKeyCard("bravo", spec.UseOp, seed(99)).Proof}
	stolen := h.group(0, k, nil)
	h.approve(stolen, 2, 3)
	review := spec.ReviewID(stolen, entry)
	h.approve(review, 2, 3)
	m := &receipt.Maker{Genesis: h.genesis, Chain: h.chain, Store: h.store, Final: h}
	b, err := m.Get(context.Background(), entry, nil)
	h.must(err)
	v, err := verify.NewVerifier(h.genesis)
	h.must(err)
	f, err := v.Verify(b)
	h.must(err)
	if r := f.Retraction; f.State != "retracted" || r == nil || r.Case != review || r.Reason != "key-revoked" || !slices.Equal(r.Approvers, []string{"charlie", "delta"}) {
		t.Fatalf("the receipt says %+v, %+v", f, f.Retraction)
	}
	for i := range b {
		b[i] ^= 1
		if _, err := v.Verify(b); err == nil {
			t.Fatalf("the receipt still holds with byte %d changed", i)
		}
		b[i] ^= 1
	}
}
