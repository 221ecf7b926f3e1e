// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
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
		{"enrolment", "of reader uniform (9, IE)", &spec.Membership{Action: spec.ActionEnrol, Organisation: organisation(9, "uniform", spec.RoleReader, "IE")}},
	}
}

func addLeaves(b *vectorBook, t testing.TB) {
	policy := genesis().Policy
	add := func(name, note string, v any) { b.add(name, "leaf", note, encode(t, v)) }
	add("tick", "log time 1700000000000", &spec.Tick{Tag: spec.TagTick, TimeMS: 1700000000000})
	add("decision", "case 0102… accepted by 2 without item 1", &spec.Decision{
		Tag: spec.TagDecision, Case: spec.Hash{1, 2}, Outcome: spec.OutcomeAccepted, Yes: 2, Excluded: []byte{2}, Policy: policy.Digest(),
	})
	add("state-root", "of an empty list at size 9", &spec.StateRoot{
		Tag: spec.TagStateRoot, SizeBefore: 9, LiveRoot: spec.EmptyRoot, RulesRoot: spec.Hash{7}, Epoch: 2, TimeMS: 1700000000000,
	})
}
