// SPDX-License-Identifier: Apache-2.0

package governance_test

import (
	"bytes"
	"testing"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/spec"
)

// groups splits a log after each root of the state.
func groups(log [][]byte) [][][]byte {
	var out [][][]byte
	start := 0
	for i, l := range log {
		if spec.EndsGroup(l) {
			out = append(out, log[start:i+1])
			start = i + 1
		}
	}
	return out
}

// eventful is a history with every kind of leaf.
func eventful(t *testing.T) *consortium {
	c := trio(t)
	c.tick(hour)
	id := c.propose("alpha", "one two", "three")
	c.vote("bravo", id, spec.Approve, 1)
	d := c.do("charlie", &spec.Dispute{Entry: spec.EntryID(id, 0), Reason: "wrong"}, nil)
	lapses := c.propose("bravo", "four")
	c.tick(73 * hour)
	c.wantCase(lapses, "lapsed")
	c.vote("bravo", d, spec.Approve)
	c.wantCase(d, "accepted")
	return c
}

func fresh(t *testing.T, c *consortium) *memory {
	t.Helper()
	m := newMemory()
	if err := governance.Init(m, c.genesis); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestReplayFromTheStart gives a newcomer the log with what is left of the
// openings: it cannot know what was erased, and knows everything else.
func TestReplayFromTheStart(t *testing.T) {
	c := eventful(t)
	m := fresh(t, c)
	for _, g := range groups(c.ledger.log) {
		if err := governance.Replay(m, g, c.openings(g)); err != nil {
			t.Fatal(err)
		}
	}
	if m.dump() != c.ledger.dump() {
		t.Fatalf("the newcomer differs:\n%s\n\n%s", m.dump(), c.ledger.dump())
	}
	if roots, _ := m.Roots(); !roots.LiveKnown {
		t.Fatal("nothing that is live was erased")
	}
}

// TestReplayWithoutOpenings is an auditor's: everything but the values.
func TestReplayWithoutOpenings(t *testing.T) {
	c := trio(t)
	c.listed("one")
	c.listed("two")
	m := fresh(t, c)
	for _, g := range groups(c.ledger.log) {
		if err := governance.Replay(m, g, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(bytes.Join(m.log, nil), bytes.Join(c.ledger.log, nil)) {
		t.Fatal("the auditor's log differs")
	}
	got, _ := m.Roots()
	want, _ := c.ledger.Roots()
	if got.Rules != want.Rules || got.LiveCount != want.LiveCount || got.LiveKnown {
		t.Fatalf("roots %+v, want those of %+v with an unknown live root", got, want)
	}
}

// TestReplayWithOpeningsLater brings the opening with the decision, as readers
// get it.
func TestReplayWithOpeningsLater(t *testing.T) {
	c := trio(t)
	id := c.propose("alpha", "one")
	c.vote("bravo", id, spec.Approve)
	m := fresh(t, c)
	all := groups(c.ledger.log)
	for _, g := range all[:3] { // the start, its tick, the proposal
		if err := governance.Replay(m, g, nil); err != nil {
			t.Fatal(err)
		}
	}
	o := &spec.Opening{Signals: c.ledger.openings[id].Signals}
	if err := governance.Replay(m, all[3], map[spec.Hash]*spec.Opening{id: o}); err != nil {
		t.Fatal(err)
	}
	if got := m.matches(sha("one")); len(got) != 1 {
		t.Fatalf("the reader finds %v", got)
	}
}

// TestReplayWithKeys is a reader's of the digest tier: it has the live root of those
// who hold the values, and takes no key that is not the committed one.
func TestReplayWithKeys(t *testing.T) {
	c := eventful(t)
	keys := func(g [][]byte) map[spec.Hash]*spec.Opening {
		out := c.openings(g)
		for id, o := range out {
			out[id] = o.Keys()
		}
		return out
	}
	m := fresh(t, c)
	for _, g := range groups(c.ledger.log) {
		if err := governance.Replay(m, g, keys(g)); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := m.Roots()
	if want, _ := c.ledger.Roots(); got != want || !got.LiveKnown {
		t.Fatalf("roots %+v, want %+v", got, want)
	}

	c = trio(t)
	id := c.propose("alpha", "one two")
	held := c.ledger.openings[id]
	wrong := held.Keys()
	wrong.Signals[0].Key[0]++
	mixed := held.Keys()
	mixed.Signals[1] = held.Signals[1]
	for want, o := range map[spec.Code]*spec.Opening{spec.CodeMismatch: wrong, spec.CodeMalformed: mixed} {
		m := fresh(t, c)
		var err error
		for _, g := range groups(c.ledger.log) {
			with := c.openings(g)
			if _, here := with[id]; here {
				with[id] = o
			}
			if err = governance.Replay(m, g, with); err != nil {
				break
			}
		}
		if spec.CodeOf(err) != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// TestReplayRefusesEveryAlteredBit turns bits all over the log.
func TestReplayRefusesEveryAlteredBit(t *testing.T) {
	c := eventful(t)
	all := groups(c.ledger.log)
	for n, g := range all {
		upTo := fresh(t, c)
		for _, before := range all[:n] {
			if err := governance.Replay(upTo, before, c.openings(before)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range g {
			for bit := 0; bit < 8*len(g[i]); bit += 7 {
				bad := append([][]byte(nil), g...)
				bad[i] = bytes.Clone(g[i])
				bad[i][bit/8] ^= 1 << (bit % 8)
				m := upTo.clone()
				if err := governance.Replay(m, bad, c.openings(g)); spec.CodeOf(err) == "" {
					if !onlyAttested(g[i], bad[i], m) {
						t.Fatalf("group %d leaf %d bit %d: %v", n, i, bit, err)
					}
				}
			}
		}
	}
}

// onlyAttested reports whether two state roots differ in the live root alone, on
// a replica that cannot compute it.
func onlyAttested(a, b []byte, m *memory) bool {
	x, err1 := spec.ParseLeaf(a)
	y, err2 := spec.ParseLeaf(b)
	roots, _ := m.Roots()
	if err1 != nil || err2 != nil || x.StateRoot == nil || y.StateRoot == nil || roots.LiveKnown {
		return false
	}
	x.StateRoot.LiveRoot = y.StateRoot.LiveRoot
	return *x.StateRoot == *y.StateRoot
}

func TestReplayRefusesMissingAndMovedLeaves(t *testing.T) {
	c := trio(t)
	c.tick(hour)
	p1, o1 := c.batch("one")
	p2, o2 := c.batch("two")
	c.now += hour
	c.enter(c.now, submission(t, c.sign(c.op("alpha", p1), c.keys["alpha"]), o1), submission(t, c.sign(c.op("bravo", p2), c.keys["bravo"]), o2))
	all := groups(c.ledger.log)
	g := all[len(all)-1]
	upTo := fresh(t, c)
	for _, before := range all[:len(all)-1] {
		if err := governance.Replay(upTo, before, nil); err != nil {
			t.Fatal(err)
		}
	}
	for i := range g {
		without := append(append([][]byte(nil), g[:i]...), g[i+1:]...)
		twice := append(append(append([][]byte(nil), g[:i+1]...), g[i]), g[i+1:]...)
		for _, bad := range [][][]byte{without, twice} {
			if err := governance.Replay(upTo.clone(), bad, c.openings(g)); spec.CodeOf(err) == "" {
				t.Fatalf("leaf %d: %v", i, err)
			}
		}
		for j := range i {
			swapped := append([][]byte(nil), g...)
			swapped[i], swapped[j] = g[j], g[i]
			if err := governance.Replay(upTo.clone(), swapped, c.openings(g)); spec.CodeOf(err) == "" {
				t.Fatalf("leaves %d and %d swapped: %v", j, i, err)
			}
		}
	}
	if err := governance.Replay(upTo.clone(), nil, nil); spec.CodeOf(err) != spec.CodeReplica {
		t.Fatalf("no leaves: %v", err)
	}
}

func TestReplayRefusesAlteredOpenings(t *testing.T) {
	c := trio(t)
	id := c.propose("alpha", "one")
	g := groups(c.ledger.log)[0]
	held := c.ledger.openings[id]
	o := spec.Opening{Signals: append([]spec.Opened(nil), held.Signals...), Texts: held.Texts}
	o.Signals[0].Signal = sha("other")
	if err := governance.Replay(fresh(t, c), g, map[spec.Hash]*spec.Opening{id: &o}); spec.CodeOf(err) != spec.CodeMismatch {
		t.Fatalf("altered: %v", err)
	}
	if err := governance.Replay(fresh(t, c), g, map[spec.Hash]*spec.Opening{{9}: &o}); spec.CodeOf(err) != spec.CodeMismatch {
		t.Fatalf("of nothing: %v", err)
	}
}
