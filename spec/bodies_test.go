// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

type bodyVector struct {
	name, note string
	body       spec.Body
}

func vote() *spec.Vote {
	return &spec.Vote{Case: spec.Hash{1, 2}, Choice: spec.Approve, Except: []uint64{1}, Reason: "clear"}
}

// bodies has one operation of each kind and variant.
func bodies() []bodyVector {
	return []bodyVector{
		{"proposal", "two items: sha256 and pdq; md5; basis and a text", proposal()},
		{"vote", "approval of case 0102… without item 1", vote()},
		{"vote-text", "rejection with a text", &spec.Vote{Case: spec.Hash{1, 2}, Choice: spec.Reject, Text: text("no").Hash()}},
		{"dispute", "of entry 0304…", &spec.Dispute{Entry: spec.Hash{3, 4}, Reason: "lawful-content"}},
		{"dispute-signals", "of signals 0 and 2 of the same entry, suspending them", &spec.Dispute{Entry: spec.Hash{3, 4}, Reason: "lawful-content", Signals: []uint64{0, 2}, Freeze: true}},
		{"vote-override", "approval that takes item 1 although it is held; item 0 has 3 sightings and no lawful match", &spec.Vote{
			Case: spec.Hash{1, 2}, Choice: spec.Approve, Override: []uint64{1}, Blast: []spec.Blast{{Item: 0, Sightings: 3}},
		}},
		{"proposal-urgent", "the same as proposal, urgent", urgent()},
		{"proposal-order", "the same as proposal with a removal order from FR to IE", order()},
		{"withdraw", "of case 0102…", &spec.Withdraw{Case: spec.Hash{1, 2}, Reason: "mistake"}},
		{"enrolment", "of reader uniform (9, IE)", enrolment(9, "uniform", spec.RoleReader, "IE")},
		{"enrolment-digest", "of reader victor (10, SE) in the digest tier", inDigest(enrolment(10, "victor", spec.RoleReader, "SE"))},
		{"tier", "of tango: digest", &spec.Membership{Action: spec.ActionTier, Org: "tango", Tier: spec.TierDigest}},
		{"expulsion", "of bravo", &spec.Membership{Action: spec.ActionExpel, Org: "bravo"}},
		{"leave", "of alpha", &spec.Membership{Action: spec.ActionLeave, Org: "alpha"}},
		{"key-add", "key 40 as a further op key of alpha", proved(40, &spec.KeyChange{Org: "alpha", Use: spec.UseOp, New: []spec.PublicKey{public(40)}, Reason: "second-signer"})},
		{"key-revoke", "key 3 of alpha, doubted from index 100 on, replaced by key 41", proved(41, &spec.KeyChange{
			Org: "alpha", Use: spec.UseOp, New: []spec.PublicKey{public(41)}, Old: []spec.PublicKey{public(3)}, Since: 100, Reason: "stolen",
		})},
		{"recover", "from size 9 and root 0700… with alpha alone, which cosigns with key 4", &spec.Recover{Size: 9, Root: spec.Hash{7}, Seats: []spec.Seat{{Org: "alpha", Key: public(4)}}, Epoch: 3}},
		{"policy", "the default policy with a freeze, over the default policy", policyChange()},
		{"ready", "at size 64", &spec.Ready{Size: 64}},
		{"receipt", "leaves 10 and 12, applied at 1700000000100 and 1700000000200", &spec.Applied{At: []spec.AppliedAt{{Index: 10, AtMS: 1700000000100}, {Index: 12, AtMS: 1700000000200}}}},
		{"taxonomy", "version 2 with one term", &spec.TaxonomyChange{Taxonomy: spec.Taxonomy{Version: 2, Terms: spec.DefaultTaxonomy().Terms[:1]}}},
		{"allow", "md5 of sixteen bytes a5 on the allow-list, sha1 of twenty bytes 5a off it", &spec.AllowChange{
			Add: []spec.Allowed{{Type: "md5", Value: bytes.Repeat([]byte{0xa5}, 16)}}, Remove: []spec.Allowed{{Type: "sha1", Value: bytes.Repeat([]byte{0x5a}, 20)}}, Reason: "press-photo",
		}},
		{"actions", "two pieces of content of entry 0304… removed after two seconds", &spec.Actions{Reports: []spec.Action{
			{Entry: spec.Hash{3, 4}, MatchedMS: 1700000000000, ActedMS: 1700000002000, What: "removed", Count: 2},
		}}},
	}
}

func addLeaves(b *vectorBook, t testing.TB) {
	policy := genesis().Policy
	add := func(name, note string, v any) { b.add(name, "leaf", note, encode(t, v)) }
	add("tick", "log time 1700000000000, by a checkpoint of size 9 and root 0700… that alpha cosigned then and bravo a second later", &spec.Tick{
		Tag: spec.TagTick, TimeMS: 1700000000000, Checkpoint: timed(),
	})
	add("panel", "number 3: alpha with key 4 and bravo with key 7, of whom both make final", &spec.Panel{
		Tag: spec.TagPanel, Number: 3, K: 2, Seats: []spec.Seat{{Org: "alpha", Key: public(4)}, {Org: "bravo", Key: public(7)}},
	})
	add("decision", "case 0102… accepted by 2 without item 1", &spec.Decision{
		Tag: spec.TagDecision, Case: spec.Hash{1, 2}, Outcome: spec.OutcomeAccepted, Yes: 2, Excluded: []byte{2}, Policy: policy.Digest(),
	})
	add("decision-withdrawn", "case 0102… withdrawn", &spec.Decision{
		Tag: spec.TagDecision, Case: spec.Hash{1, 2}, Outcome: spec.OutcomeWithdrawn, Yes: 1, Policy: policy.Digest(),
	})
	add("admission", "case 0102…: a signal of item 0 is listed, one of item 1 is near the allow-list", &spec.Admission{
		Tag: spec.TagAdmission, Case: spec.Hash{1, 2}, Findings: []spec.Finding{{Item: 0, What: spec.FindingListed, Count: 1}, {Item: 1, What: spec.FindingAllowed, Count: 1}},
	})
	add("notice", "a first notice that bravo has not voted on the referral 0102…", &spec.Notice{
		Tag: spec.TagNotice, What: spec.NoticeReferral, Level: 1, Case: spec.Hash{1, 2}, Orgs: []string{"bravo"}, TimeMS: 1700000000000,
	})
	add("state-root", "of an empty list at size 9", &spec.StateRoot{
		Tag: spec.TagStateRoot, SizeBefore: 9, LiveRoot: spec.EmptyRoot, RulesRoot: spec.Hash{7}, Epoch: 2, TimeMS: 1700000000000,
	})
}

// timed is a cosigned checkpoint.
func timed() spec.Timed {
	t := spec.Timed{Size: 9, Root: spec.Hash{7}}
	for i, org := range []string{"alpha", "bravo"} {
		unix := 1700000000 + uint64(i)
		text := fmt.Sprintf("cosignature/v1\ntime %d\n%s\n9\n%s\n", unix, genesis().Origin(), base64.StdEncoding.EncodeToString(t.Root[:]))
		sig := ed25519.Sign(seed(byte(3*i+4)), []byte(text))
		t.Cosignatures = append(t.Cosignatures, spec.Cosignature{Org: org, Time: unix, Sig: [64]byte(sig)})
	}
	return t
}

func urgent() *spec.Proposal {
	p := proposal()
	p.Urgency = spec.Urgent
	return p
}

func order() *spec.Proposal {
	p := proposal()
	p.Referral = []spec.Referral{{
		Form: spec.FormRemovalOrder, Basis: "eu-2021-784-art-3", State: "FR", Addressee: "IE", Grounds: []string{"incitement", "threat"},
		IssuedMS: 1700000000000, DeadlineMS: 1700003600000, PreserveMS: 1715552000000,
		Reference: text("2026/1").Hash(), Authority: text("an authority").Hash(), Locator: text("an address").Hash(),
	}}
	return p
}

func policyChange() *spec.PolicyChange {
	before := spec.DefaultPolicy()
	after := spec.DefaultPolicy()
	after.Freeze = true
	return &spec.PolicyChange{Over: before.Digest(), Policy: after}
}

// enrolment asks to enrol the organisation with the keys of a number.
func enrolment(n byte, id, role, jurisdiction string) *spec.Membership {
	o := organisation(n, id, role, jurisdiction)
	return spec.Enrolment(o, spec.ProveCard(&o, seed(3*n), seed(3*n+1), seed(3*n+2)), spec.TierFull)
}

func inDigest(m *spec.Membership) *spec.Membership {
	m.Tier = spec.TierDigest
	return m
}

// proved completes a change of keys by the signature of the new one.
func proved(n byte, k *spec.KeyChange) *spec.KeyChange {
	k.Proof = []spec.Proof{spec.NewKeyCard(k.Org, k.Use, seed(n)).Proof}
	return k
}
