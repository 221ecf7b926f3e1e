// SPDX-License-Identifier: Apache-2.0

package governance_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/spec"
)

// atOnce is how many of the largest additions may be listed, ended or put to a new vote
// in one tick, or by the operations of one raft entry (spec/governance.md).
const atOnce = 16

// large opens additions of as many signals as one may have, in eight items.
func (c *consortium) large(org string, n int, urgency uint64) (ids []spec.Hash) {
	c.t.Helper()
	for i := range n {
		items := make([]string, 8)
		for j := range items {
			names := make([]string, spec.MaxSignals/len(items))
			for k := range names {
				names[k] = fmt.Sprint(i, "-", j, "-", k)
			}
			items[j] = strings.Join(names, " ")
		}
		p, o := c.batch(items...)
		p.Urgency = urgency
		ids = append(ids, c.do(org, p, o))
	}
	return ids
}

// votes approves all cases in one raft entry.
func (c *consortium) votes(org string, ids []spec.Hash) (subs []spec.Submission) {
	c.t.Helper()
	for _, id := range ids {
		subs = append(subs, submission(c.t, c.sign(c.op(org, &spec.Vote{Case: id, Choice: spec.Approve}), c.keys[org]), nil))
	}
	return subs
}

// inState counts the cases whose first entry is in a state.
func (c *consortium) inState(ids []spec.Hash, state string) (n int) {
	for _, id := range ids {
		var e spec.Entry
		if c.read(spec.EntryKey(spec.EntryID(id, 0)), &e) && spec.StateName(e.State) == state {
			n++
		}
	}
	return n
}

// Votes are small and what they list is not: what one entry of the raft log lists is
// bounded, and the vote that found no room is taken in the next.
func TestWhatOneEntryListsIsBounded(t *testing.T) {
	c := trio(t)
	ids := c.large("alpha", atOnce+2, spec.Standard)
	subs := c.votes("bravo", ids)
	out := c.enter(0, append(subs, subs[0])...)
	for i, o := range out[:atOnce] {
		if o.Code != "" {
			t.Fatalf("vote %d: %s", i, o.Code)
		}
	}
	for i, o := range out[atOnce : atOnce+2] {
		if o.Code != spec.CodeBusy {
			t.Fatalf("vote %d: %q, want %s", atOnce+i, o.Code, spec.CodeBusy)
		}
	}
	if again := out[atOnce+2]; again.Code != "" || again.Index != out[0].Index {
		t.Fatalf("an operation that stands in the log: %+v, want the outcome that it had", again)
	}
	if n := c.inState(ids, "active"); n != atOnce {
		t.Fatalf("%d are listed, want %d", n, atOnce)
	}
	for _, o := range c.enter(0, subs[atOnce:]...) {
		if o.Code != "" {
			t.Fatalf("a vote in the next entry: %s", o.Code)
		}
	}
	if n := c.inState(ids, "active"); n != len(ids) {
		t.Fatalf("%d are listed, want %d", n, len(ids))
	}
}

// What falls due at once is done in several ticks if it is much.
func TestWhatOneTickChangesIsBounded(t *testing.T) {
	c := found(t, nil, memberLines(5)...)
	due := func() bool {
		more, err := governance.DeadlineDue(c.ledger, c.now)
		if err != nil {
			t.Fatal(err)
		}
		return more
	}
	ids := c.large("m00", atOnce+1, spec.Urgent)
	for _, half := range [][]spec.Hash{ids[:atOnce], ids[atOnce:]} {
		c.enter(0, c.votes("m01", half)...)
	}
	if n := c.inState(ids, "provisional"); n != len(ids) {
		t.Fatalf("%d are provisional, want %d", n, len(ids))
	}
	c.tick(24 * hour)
	if n := c.inState(ids, "retracted"); n != atOnce || !due() {
		t.Fatalf("%d ended in the first tick, want %d and more to be due", n, atOnce)
	}
	c.tick(1000)
	if n := c.inState(ids, "retracted"); n != len(ids) || due() {
		t.Fatalf("%d ended after two ticks, want %d and no more to be due", n, len(ids))
	}
}

// So is what a stolen key decided, once its decisions are reviewed.
func TestWhatAReviewDisputesAtOnceIsBounded(t *testing.T) {
	c := found(t, nil, memberLines(4)...)
	ids := c.large("m00", atOnce+1, spec.Standard)
	c.enter(0, c.votes("m01", ids)...)
	for _, half := range [][]spec.Hash{ids[:atOnce], ids[atOnce:]} {
		c.enter(0, c.votes("m02", half)...)
	}
	c.rotate("m01", "m01 second", 1, "m00", "m02", "m03")
	for i, want := range []int{atOnce, len(ids)} {
		c.tick(1000)
		if n := c.inState(ids, "disputed"); n != want {
			t.Fatalf("%d are disputed after tick %d, want %d", n, i+1, want)
		}
	}
}
