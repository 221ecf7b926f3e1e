// SPDX-License-Identifier: Apache-2.0

package governance_test

import (
	"fmt"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

func TestAdditionNeedsAMajority(t *testing.T) {
	for members, need := range map[int]int{1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 4, 7: 4} {
		t.Run(fmt.Sprint(members, " members"), func(t *testing.T) {
			c := found(t, nil, memberLines(members)...)
			id := c.propose("m00", "one")
			for i := 1; i < need; i++ {
				c.wantCase(id, "open")
				c.wantLive("one")
				c.vote(fmt.Sprintf("m%02d", i), id, spec.Approve)
			}
			c.wantCase(id, "accepted")
			c.wantLive("one", "active")
		})
	}
}

func memberLines(n int) []string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf("m%02d", i))
	}
	return lines
}

func TestAVoteCountsOnceAndCanBeChanged(t *testing.T) {
	c := found(t, nil, memberLines(5)...)
	id := c.propose("m00", "one")
	c.vote("m01", id, spec.Approve)
	c.vote("m01", id, spec.Approve)
	c.vote("m00", id, spec.Approve)
	c.wantCase(id, "open")
	c.vote("m01", id, spec.Reject)
	c.vote("m02", id, spec.Approve)
	if k := c.wantCase(id, "open"); k.Yes != 2 || k.No != 1 {
		t.Fatalf("%d approve and %d reject, want 2 and 1", k.Yes, k.No)
	}
	c.vote("m01", id, spec.Approve)
	c.wantCase(id, "accepted")
	c.refuse(spec.CodeCaseClosed, "m03", &spec.Vote{Case: id, Choice: spec.Reject}, nil)
}

func TestRejectedAsSoonAsItCannotPass(t *testing.T) {
	c := found(t, nil, memberLines(5)...)
	id := c.propose("m00", "one")
	c.vote("m01", id, spec.Reject)
	c.vote("m02", id, spec.Abstain)
	c.wantCase(id, "open")
	c.vote("m03", id, spec.Reject)
	c.wantCase(id, "rejected")
	c.wantLive("one")
}

func TestItemsLeftOutByEnoughVotesStayOutAlone(t *testing.T) {
	c := trio(t)
	id := c.propose("alpha", "zero", "one", "two")
	c.vote("bravo", id, spec.Approve, 1)
	c.wantCase(id, "accepted")
	c.wantLive("zero", "active")
	c.wantLive("one")
	c.wantLive("two", "active")
	if b := c.ledger.records[string(spec.EntryKey(spec.EntryID(id, 1)))]; b != nil {
		t.Fatal("the item that was left out became an entry")
	}
}

func TestVotesOnWhatIsNotThere(t *testing.T) {
	c := trio(t)
	id := c.propose("alpha", "one")
	c.refuse(spec.CodeCase, "bravo", &spec.Vote{Case: spec.Hash{9}, Choice: spec.Approve}, nil)
	c.refuse(spec.CodeMalformed, "bravo", &spec.Vote{Case: id, Choice: spec.Approve, Except: []uint64{1}}, nil)
	c.refuse(spec.CodeRole, "tango", &spec.Vote{Case: id, Choice: spec.Approve}, nil)
	c.refuse(spec.CodeEntry, "bravo", &spec.Dispute{Entry: spec.EntryID(id, 0), Reason: "wrong"}, nil)
}

func TestCasesLapseInTicksAlone(t *testing.T) {
	c := trio(t)
	c.tick(5 * second)
	id := c.propose("alpha", "one")
	c.tick(72*hour - second)
	c.wantCase(id, "open")
	c.enter(c.now - hour) // a time of the past moves nothing back
	if got := c.clock().TimeMS; got != c.now {
		t.Fatalf("log time went from %d to %d", c.now, got)
	}
	c.tick(second)
	c.wantCase(id, "lapsed")
	c.refuse(spec.CodeCaseClosed, "bravo", &spec.Vote{Case: id, Choice: spec.Approve}, nil)
	c.wantLive("one")
}

// listed proposes an item as alpha and has bravo approve it.
func (c *consortium) listed(name string) (entry spec.Hash) {
	c.t.Helper()
	id := c.propose("alpha", name)
	c.vote("bravo", id, spec.Approve)
	c.wantLive(name, "active")
	return spec.EntryID(id, 0)
}

func TestDisputeFlagsAtOnceAndRetracts(t *testing.T) {
	c := trio(t)
	e := c.listed("one")
	id := c.do("charlie", &spec.Dispute{Entry: e, Reason: "lawful-content"}, nil)
	c.wantLive("one", "disputed")
	c.refuse(spec.CodeDisputed, "bravo", &spec.Dispute{Entry: e, Reason: "again"}, nil)
	c.vote("bravo", id, spec.Approve)
	c.wantCase(id, "accepted")
	c.wantLive("one")
	entry := c.wantEntry(e, "retracted")
	o := c.ledger.openings[entry.Case]
	if !o.Signals[0].Erased {
		t.Fatal("the retracted value is still there")
	}
	c.refuse(spec.CodeEntryState, "bravo", &spec.Dispute{Entry: e, Reason: "again"}, nil)
}

func TestDisputeThatFailsClearsTheFlag(t *testing.T) {
	c := found(t, nil, "alpha", "bravo", "charlie", "delta")
	id := c.propose("alpha", "one")
	c.vote("bravo", id, spec.Approve)
	c.vote("charlie", id, spec.Approve)
	e := spec.EntryID(id, 0)
	d := c.do("delta", &spec.Dispute{Entry: e, Reason: "wrong"}, nil)
	c.vote("bravo", d, spec.Reject)
	c.wantLive("one", "disputed")
	c.vote("charlie", d, spec.Reject)
	c.wantCase(d, "rejected")
	c.wantLive("one", "active")
	if got := c.wantEntry(e, "active"); !got.Dispute.IsZero() {
		t.Fatal("the entry still names the dispute")
	}
}

func TestTheProposerDoesNotRuleOnItsOwnEntry(t *testing.T) {
	c := trio(t)
	d := c.do("tango", &spec.Dispute{Entry: c.listed("one"), Reason: "wrong"}, nil)
	c.refuse(spec.CodeElectorate, "alpha", &spec.Vote{Case: d, Choice: spec.Reject}, nil)
	c.vote("bravo", d, spec.Approve)
	c.wantCase(d, "open")
	c.vote("charlie", d, spec.Approve)
	c.wantCase(d, "accepted")
}

func TestASignalIsLiveWhileAnyEntryListsIt(t *testing.T) {
	c := trio(t)
	first := c.listed("one")
	id := c.propose("charlie", "one")
	c.vote("bravo", id, spec.Approve)
	c.wantLive("one", "active", "active")
	d := c.do("charlie", &spec.Dispute{Entry: first, Reason: "wrong"}, nil)
	c.vote("bravo", d, spec.Approve)
	c.wantLive("one", "active")
}

func TestEnrolmentTakesTwoThirdsAndBeginsAnEpoch(t *testing.T) {
	for members, need := range map[int]int{1: 1, 2: 2, 3: 2, 4: 3, 6: 4, 7: 5} {
		t.Run(fmt.Sprint(members, " members"), func(t *testing.T) {
			c := found(t, nil, memberLines(members)...)
			stale := c.op("m00", &spec.Dispute{Entry: spec.Hash{1}, Reason: "x"})
			id := c.enrol("m00", "tango reader IE")
			for i := 1; i < need; i++ {
				c.wantCase(id, "open")
				c.vote(fmt.Sprintf("m%02d", i), id, spec.Approve)
			}
			c.wantCase(id, "accepted")
			if got := c.clock().Epoch; got != 1 {
				t.Fatalf("epoch %d, want 1", got)
			}
			c.refuseOp(spec.CodeEpoch, submission(t, c.sign(stale, c.keys["m00"]), nil))
			c.refuse(spec.CodeEntry, "tango", &spec.Dispute{Entry: spec.Hash{1}, Reason: "x"}, nil)
		})
	}
}

// enrol opens a case on an organisation written as for card.
func (c *consortium) enrol(by, line string) spec.Hash {
	c.t.Helper()
	o := card(line)
	c.keys[o.ID] = keyOf(o.ID + " op")
	return c.do(by, enrolment(o), nil)
}

func TestEnrolmentOfWhatIsThere(t *testing.T) {
	c := trio(t)
	other := card("uniform reader IE")
	other.Libp2pKey = publicOf("tango op")
	c.refuse(spec.CodeEnrolled, "alpha", enrolment(card("tango reader IE")), nil)
	c.refuse(spec.CodeEnrolled, "alpha", enrolment(other), nil)
	c.refuse(spec.CodeRole, "tango", enrolment(card("victor reader IE")), nil)
}

// TestProvisionalEntriesCarryTheirSunset looks at what lookups see: they end a
// provisional entry by their own clock.
func TestProvisionalEntriesCarryTheirSunset(t *testing.T) {
	c := found(t, nil, memberLines(5)...)
	c.tick(hour)
	p, o := c.batch("one")
	p.Urgency = spec.Urgent
	id := c.do("m00", p, o)
	sunset := func() uint64 {
		t.Helper()
		for _, l := range c.ledger.live {
			var meta spec.LiveMeta
			if err := spec.Decode(l.meta, &meta); err != nil {
				t.Fatal(err)
			}
			return meta.Sunset
		}
		t.Fatal("nothing is live")
		return 0
	}
	c.vote("m01", id, spec.Approve)
	if got := sunset(); got != 25*hour+second {
		t.Fatalf("sunset at %d, want 25 h and a second", got)
	}
	c.vote("m02", id, spec.Approve)
	if got := sunset(); got != 0 {
		t.Fatalf("a confirmed entry has a sunset at %d", got)
	}
}
