// SPDX-License-Identifier: Apache-2.0

package governance_test

import (
	"fmt"

	"github.com/tocsin-db/tocsin/spec"
)

// A model reads the signed operations of a log and the ticks, and works out from
// the words of governance.md alone what is matchable. It keeps every vote and
// counts them all again whenever it is asked; it shares nothing with the rules but
// the parser. It knows the default policy without clocks, with freezes.
type model struct {
	now    uint64
	roles  map[string]string
	gone   map[string]bool
	cases  map[spec.Hash]*modelCase
	order  []spec.Hash
	barred map[string]uint64
}

type modelCase struct {
	id       spec.Hash
	body     spec.Body
	org      string
	opened   uint64
	voters   map[string]bool // may vote
	counted  map[string]bool // count in the number that the threshold is of
	votes    map[string]*spec.Vote
	late     map[string]bool // voted while barred from urgency
	outcome  string          // "" while open
	listed   map[int]bool    // items that the decision accepted
	made     map[int]bool    // items that became entries, before the decision or by it
	frozen   bool
	suspends bool // overdue
}

func newModel(g *spec.Genesis) *model {
	m := &model{roles: map[string]string{}, gone: map[string]bool{}, cases: map[spec.Hash]*modelCase{}, barred: map[string]uint64{}}
	for _, o := range g.Organisations {
		m.roles[o.ID] = o.Role
	}
	return m
}

func (m *model) members() map[string]bool {
	out := map[string]bool{}
	for id, r := range m.roles {
		if r == "member" {
			out[id] = true
		}
	}
	return out
}

// operation takes in what stands in the log. It fails on what may not stand there.
func (m *model) operation(env []byte) error {
	s, err := spec.ParseEnvelope(env)
	if err != nil {
		return err
	}
	org := s.Op.Org
	role, ok := m.roles[org]
	if !ok {
		return fmt.Errorf("%s is not enrolled", org)
	}
	switch b := s.Body.(type) {
	case *spec.Vote:
		c := m.cases[b.Case]
		if c == nil || c.outcome != "" || !c.voters[org] {
			return fmt.Errorf("%s does not vote there", org)
		}
		c.votes[org] = b
		c.late[org] = m.barred[org] > m.now
		m.decide(c)
		return nil
	case *spec.Withdraw:
		c := m.cases[b.Case]
		if c == nil || c.outcome != "" || c.org != org {
			return fmt.Errorf("%s withdraws what it may not", org)
		}
		m.end(c, "withdrawn")
		return nil
	}
	return m.open(s.ID, org, role, s.Body)
}

func (m *model) open(id spec.Hash, org, role string, body spec.Body) error {
	c := &modelCase{id: id, body: body, org: org, opened: m.now, voters: m.members(), counted: m.members(), votes: map[string]*spec.Vote{}, late: map[string]bool{}, listed: map[int]bool{}, made: map[int]bool{}}
	switch b := body.(type) {
	case *spec.Proposal:
		if role == "reader" || role == "auditor" || role == "referrer" && len(b.Referral) == 0 || b.Urgency == spec.Urgent && m.barred[org] > m.now {
			return fmt.Errorf("%s may not propose that", org)
		}
	case *spec.Dispute:
		of, _ := m.find(b.Entry)
		if of == nil || role == "referrer" || !m.exists(b.Entry) || m.dispute(b.Entry) != nil {
			return fmt.Errorf("%s disputes what it may not", org)
		}
		if len(c.voters) > 1 {
			delete(c.voters, of.org)
			delete(c.counted, of.org)
		}
		c.frozen = b.Freeze
	case *spec.Membership:
		if (b.Action == spec.ActionLeave) != (b.Org == org) || role != "member" && b.Action != spec.ActionLeave {
			return fmt.Errorf("%s decides on members", org)
		}
		delete(c.voters, b.Org)
	}
	if c.voters[org] {
		c.votes[org] = &spec.Vote{Choice: spec.Approve}
	}
	m.cases[id] = c
	m.order = append(m.order, id)
	m.decide(c)
	return nil
}

func (c *modelCase) sums() (yes, no, silent int) {
	for _, v := range c.votes {
		switch v.Choice {
		case spec.Approve:
			yes++
		case spec.Reject:
			no++
		}
	}
	return yes, no, len(c.voters) - len(c.votes)
}

func (c *modelCase) need() int {
	n := len(c.counted)
	if _, ok := c.body.(*spec.Membership); ok {
		return (2*n + 2) / 3
	}
	return n/2 + 1
}

// approvals counts those who would list an item; only counts those that matter.
func (c *modelCase) approvals(item int, matters func(org string) bool) int {
	n := 0
	for org, v := range c.votes {
		if v.Choice != spec.Approve || !matters(org) {
			continue
		}
		listed := true
		for _, e := range v.Except {
			listed = listed && e != uint64(item)
		}
		if listed {
			n++
		}
	}
	return n
}

func anyone(string) bool { return true }

// decide ends a case if its votes are enough, and else notes which items of an
// urgent addition enough organisations approve.
func (m *model) decide(c *modelCase) {
	if c.outcome != "" {
		return
	}
	m.count(c)
	p, ok := c.body.(*spec.Proposal)
	for i := 0; ok && c.outcome == "" && i < len(p.Items); i++ {
		if m.backed(c, i) {
			c.made[i] = true
		}
	}
}

func (m *model) count(c *modelCase) {
	yes, no, silent := c.sums()
	need := c.need()
	switch c.body.(type) {
	case *spec.Proposal:
		m.decideProposal(c, yes, silent, need)
	case *spec.Dispute:
		if yes >= need || silent == 0 && yes >= no {
			m.end(c, "accepted")
		} else if silent == 0 || yes+silent < need && yes+silent < no {
			m.end(c, "rejected")
		}
	case *spec.Membership:
		if yes >= need {
			m.end(c, "accepted")
		} else if silent == 0 || yes+silent < need {
			m.end(c, "rejected")
		}
	}
}

func (m *model) decideProposal(c *modelCase, yes, silent, need int) {
	items := len(c.body.(*spec.Proposal).Items)
	if yes < need {
		if silent == 0 || yes+silent < need {
			m.end(c, "rejected")
		}
		return
	}
	could := false
	for i := range items {
		n := c.approvals(i, anyone)
		if n >= need {
			c.listed[i] = true
		}
		could = could || n+silent >= need
	}
	if len(c.listed) > 0 {
		m.end(c, "accepted")
	} else if !could {
		m.end(c, "rejected")
	}
}

func (m *model) end(c *modelCase, outcome string) {
	if p, ok := c.body.(*spec.Proposal); ok && p.Urgency == spec.Urgent && (outcome == "lapsed" || outcome == "withdrawn" && len(c.made) > 0) {
		for org, v := range c.votes {
			if v.Choice == spec.Approve {
				m.barred[org] = m.now + 30*day
			}
		}
	}
	if outcome == "accepted" {
		c.made = c.listed
	}
	c.outcome = outcome
	if b, ok := c.body.(*spec.Membership); ok && outcome == "accepted" {
		m.change(c, b)
	}
	for _, id := range m.order { // a dispute against what is gone is over
		d := m.cases[id]
		if b, ok := d.body.(*spec.Dispute); ok && d.outcome == "" && !m.exists(b.Entry) {
			d.outcome = "moot"
		}
	}
}

func (m *model) change(c *modelCase, b *spec.Membership) {
	if b.Action == spec.ActionEnrol {
		if m.roles[b.Org] != "" || m.gone[b.Org] {
			c.outcome = "moot"
			return
		}
		m.roles[b.Org] = b.Card[0].Role
		return
	}
	if m.roles[b.Org] == "" {
		c.outcome = "moot"
		return
	}
	delete(m.roles, b.Org)
	m.gone[b.Org] = true
	var touched []*modelCase
	for _, id := range m.sorted() {
		o := m.cases[id]
		if o.outcome == "" && o.counted[b.Org] {
			delete(o.voters, b.Org)
			delete(o.counted, b.Org)
			delete(o.votes, b.Org)
			touched = append(touched, o)
		}
	}
	for _, o := range touched {
		if o.outcome == "" {
			m.decide(o)
		}
	}
}

// sorted is the order in which a departure is felt: by id of the case.
func (m *model) sorted() []spec.Hash {
	out := append([]spec.Hash(nil), m.order...)
	for i := range out {
		for j := i; j > 0 && string(out[j][:]) < string(out[j-1][:]); j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

func (m *model) tick(now uint64) {
	m.now = max(m.now, now)
	for _, id := range m.order {
		c := m.cases[id]
		if c.outcome != "" {
			continue
		}
		switch b := c.body.(type) {
		case *spec.Proposal:
			if b.Urgency == spec.Urgent && m.now >= c.opened+24*hour || m.now >= c.opened+72*hour {
				m.end(c, "lapsed")
			}
		case *spec.Dispute:
			yes, _, _ := c.sums()
			if m.now < c.opened+7*day {
				continue
			}
			if c.suspends = yes > 0 || m.roles[c.org] == "member"; !c.suspends {
				m.end(c, "lapsed")
			}
		default:
			if m.now >= c.opened+7*day {
				m.end(c, "lapsed")
			}
		}
	}
}

func (m *model) find(entry spec.Hash) (*modelCase, int) {
	for _, id := range m.order {
		if p, ok := m.cases[id].body.(*spec.Proposal); ok {
			for i := range p.Items {
				if spec.EntryID(id, i) == entry {
					return m.cases[id], i
				}
			}
		}
	}
	return nil, 0
}

// backed reports whether enough organisations approve an item of an urgent
// addition that might be urgent when they voted.
func (m *model) backed(c *modelCase, item int) bool {
	p := c.body.(*spec.Proposal)
	n := c.approvals(item, func(org string) bool { return !c.late[org] })
	return p.Urgency == spec.Urgent && n >= min(2, c.need())
}

// exists reports whether there is an entry that a dispute may be against.
func (m *model) exists(entry spec.Hash) bool {
	c, i := m.find(entry)
	return c != nil && !m.retracted(entry) && (c.outcome == "accepted" || c.outcome == "") && c.made[i]
}

func (m *model) retracted(entry spec.Hash) bool {
	for _, id := range m.order {
		d := m.cases[id]
		if b, ok := d.body.(*spec.Dispute); ok && b.Entry == entry && d.outcome == "accepted" {
			return true
		}
	}
	return false
}

// dispute is the open one against an entry.
func (m *model) dispute(entry spec.Hash) *modelCase {
	for _, id := range m.order {
		d := m.cases[id]
		if b, ok := d.body.(*spec.Dispute); ok && b.Entry == entry && d.outcome == "" {
			return d
		}
	}
	return nil
}

// matchable works out whether lookups find an entry.
func (m *model) matchable(entry spec.Hash) bool {
	c, i := m.find(entry)
	if c == nil || m.retracted(entry) {
		return false
	}
	if d := m.dispute(entry); d != nil && (d.frozen || d.suspends) {
		return false
	}
	if c.outcome == "" {
		return m.backed(c, i)
	}
	return c.outcome == "accepted" && c.listed[i]
}
