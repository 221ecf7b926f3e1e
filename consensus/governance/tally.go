// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// add counts a vote; n is 1, or −1 to take it back.
func add(c *spec.Case, choice, n uint64) {
	switch choice {
	case spec.Approve:
		c.Yes += n
	case spec.Reject:
		c.No += n
	default:
		c.Abstain += n
	}
}

// A tally is what the votes of a case say in detail.
type tally struct {
	approved      []uint64 // approvals that list item i
	backing       []uint64 // of them, by organisations that may be urgent
	willing       []uint64 // approvals that would, if they overrode what holds it
	held          []bool   // item i is held
	jurisdictions int      // of those that approve
	approvers     []string
}

// detail reads every vote of a case.
func detail(v *view, id spec.Hash, c *spec.Case) (*tally, error) {
	t := &tally{
		approved: make([]uint64, c.Items), backing: make([]uint64, c.Items),
		willing: make([]uint64, c.Items), held: make([]bool, c.Items),
	}
	if err := t.findings(v, id); err != nil {
		return nil, err
	}
	ballots, err := t.ballots(v, id)
	if err != nil {
		return nil, err
	}
	for i := range ballots {
		t.approve(&ballots[i])
	}
	return t, t.places(v)
}

func (t *tally) findings(v *view, id spec.Hash) error {
	var a spec.Admission
	if _, err := load(v, spec.AdmissionKey(id), &a); err != nil {
		return err
	}
	for _, f := range a.Findings {
		t.held[f.Item] = t.held[f.Item] || spec.Holds(f.What)
	}
	return nil
}

// ballots returns the approvals and notes whose they are; what any voter reports
// of lawful content holds an item.
func (t *tally) ballots(v *view, id spec.Hash) ([]spec.VoteRecord, error) {
	var out []spec.VoteRecord
	b, prefix := new(spec.VoteRecord), spec.VotePrefix(id)
	err := each(v, prefix, b, func() { *b = spec.VoteRecord{} }, func(key []byte) (bool, error) {
		for _, x := range b.Blast {
			t.held[x.Item] = t.held[x.Item] || x.Lawful > 0
		}
		if b.Choice == spec.Approve {
			t.approvers = append(t.approvers, string(key[len(prefix):]))
			out = append(out, *b)
		}
		return true, nil
	})
	return out, err
}

func (t *tally) approve(b *spec.VoteRecord) {
	for i := range t.approved {
		if slices.Contains(b.Except, uint64(i)) {
			continue
		}
		t.willing[i]++
		if !t.held[i] || slices.Contains(b.Override, uint64(i)) {
			t.approved[i]++
			if !b.Barred {
				t.backing[i]++
			}
		}
	}
}

// places counts the jurisdictions of those that approve.
func (t *tally) places(v *view) error {
	var seen []string
	for _, id := range t.approvers {
		var who spec.OrgRecord
		if err := need(v, spec.OrgKey(id), &who); err != nil {
			return err
		}
		if j := who.Organisation.Jurisdiction; !slices.Contains(seen, j) {
			seen = append(seen, j)
		}
	}
	t.jurisdictions = len(seen)
	return nil
}

// left returns the bitmap of the items that too few approvals list, nil when
// there are none, and how many there are. some says that an item that is left out
// could still pass.
func (t *tally) left(c *spec.Case) (excluded []byte, n uint64, some bool) {
	for i := range t.approved {
		if t.approved[i] >= c.Need {
			continue
		}
		if excluded == nil {
			excluded = make([]byte, (len(t.approved)+7)/8)
		}
		excluded[i/8] |= 1 << (i % 8)
		n++
		some = some || t.willing[i]+undecided(c) >= c.Need
	}
	return excluded, n, some
}

// undecided is how many have not voted yet.
func undecided(c *spec.Case) uint64 { return c.Voters - c.Yes - c.No - c.Abstain }

// quorate reports whether enough have voted.
func quorate(c *spec.Case) bool {
	return c.Rule.Quorum.Num == 0 || c.Yes+c.No+c.Abstain >= uint64(c.Rule.Quorum.Of(int(c.Base)))
}

// A verdict says what follows from the votes as they stand.
type verdict struct {
	outcome  uint64 // 0: wait
	excluded []byte
	tally    *tally // nil when the sums were enough
}

// weigh decides on the votes as they stand.
func weigh(v *view, id spec.Hash, c *spec.Case) (verdict, error) {
	var d verdict
	if c.PerItem || c.Urgent > 0 || c.Rule.Jurisdictions > 1 && c.Yes >= c.Need {
		var err error
		if d.tally, err = detail(v, id, c); err != nil {
			return d, err
		}
	}
	clock, err := v.clock()
	if err != nil {
		return d, err
	}
	d.outcome = passes(c, &d)
	if d.outcome == spec.OutcomeAccepted && clock.TimeMS < c.OpenedMS+c.Rule.CooldownMS {
		d.outcome = 0
	}
	return d, nil
}

func passes(c *spec.Case, d *verdict) uint64 {
	all := undecided(c) == 0
	switch {
	case c.Yes >= c.Need && quorate(c) && (d.tally == nil || uint64(d.tally.jurisdictions) >= c.Rule.Jurisdictions):
		return d.items(c)
	case c.Kind == spec.KindDispute && all && c.Yes >= c.No && quorate(c):
		return spec.OutcomeAccepted // a tie: retraction beats listing
	case all || !reachable(c):
		return spec.OutcomeRejected
	}
	return 0
}

// reachable reports whether those who have not voted could still carry the case.
func reachable(c *spec.Case) bool {
	most := c.Yes + undecided(c)
	return most >= c.Need || c.Kind == spec.KindDispute && most >= c.No
}

// items leaves out what too few approvals list. A case of which nothing would be
// left waits while something could still pass, and else is rejected.
func (d *verdict) items(c *spec.Case) uint64 {
	if d.tally == nil || c.Items == 0 {
		return spec.OutcomeAccepted
	}
	excluded, n, some := d.tally.left(c)
	switch {
	case n < c.Items:
		d.excluded = excluded
		return spec.OutcomeAccepted
	case some:
		return 0
	}
	return spec.OutcomeRejected
}

// settle decides a case as soon as its outcome cannot change any more, and writes
// it.
func settle(v *view, id spec.Hash, c *spec.Case) error {
	d, err := weigh(v, id, c)
	if err != nil {
		return err
	}
	if d.outcome != 0 {
		return conclude(v, id, c, d.outcome, d.excluded)
	}
	if c.Urgent > 0 {
		if err := back(v, id, c, d.tally); err != nil {
			return err
		}
	}
	return putCase(v, id, c)
}

// secondedBy reports whether a member other than the one that filed it approves a
// dispute.
func secondedBy(v *view, id spec.Hash, c *spec.Case) (bool, error) {
	t, err := detail(v, id, c)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(t.approvers, func(org string) bool { return org != c.Org }), nil
}
