// SPDX-License-Identifier: Apache-2.0

package transparency

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// A Builder takes the leaves of a log in their order.
type Builder struct {
	report   Report
	now      uint64 // log time
	roles    map[string]string
	cases    map[spec.Hash]*record
	order    []*record
	entries  map[spec.Hash]*outcome
	notices  map[[2]string]*Notice
	cosigned map[string]*Cosigned
	panel    *spec.Panel // in force: a tick begins its group, a panel ends it
}

// A record is what is kept of a case.
type record struct {
	op      *spec.Signed
	at      uint64
	decided uint64
	outcome uint64
	items   []*outcome
	votes   map[string]uint64
}

// An outcome is what became of one item.
type outcome struct {
	item       *spec.Item
	left       bool
	overturned bool
}

// New begins a report on a consortium's log.
func New(g *spec.Genesis) *Builder {
	b := &Builder{
		roles: map[string]string{}, cases: map[spec.Hash]*record{}, entries: map[spec.Hash]*outcome{},
		notices: map[[2]string]*Notice{}, cosigned: map[string]*Cosigned{}, panel: g.FoundingPanel(),
	}
	b.report.Origin = g.Origin()
	for i := range g.Organisations {
		b.roles[g.Organisations[i].ID] = g.Organisations[i].Role
	}
	return b
}

// Add takes the next leaf.
func (b *Builder) Add(l *spec.Leaf) {
	b.report.Leaves++
	switch {
	case l.Tick != nil:
		b.time(l.Tick.TimeMS)
		b.tick(&l.Tick.Checkpoint)
	case l.StateRoot != nil:
		b.time(l.StateRoot.TimeMS)
	case l.Panel != nil:
		b.panel = l.Panel
	case l.Decision != nil:
		b.decide(l.Decision)
	case l.Notice != nil:
		b.notice(l.Notice)
	case l.Signed != nil:
		b.operation(l.Signed)
	}
}

func (b *Builder) time(ms uint64) {
	if b.report.FromMS == 0 {
		b.report.FromMS = ms
	}
	b.now = max(b.now, ms)
}

// tick counts whose cosignatures stand in a tick, of those with a seat.
func (b *Builder) tick(t *spec.Timed) {
	for _, seat := range b.panel.Seats {
		c := b.cosigned[seat.Org]
		if c == nil {
			c = &Cosigned{Organisation: seat.Org}
			b.cosigned[seat.Org] = c
		}
		if slices.ContainsFunc(t.Cosignatures, func(s spec.Cosignature) bool { return s.Org == seat.Org }) {
			c.Stood++
		} else {
			c.LeftOut++
		}
	}
}

func (b *Builder) operation(s *spec.Signed) {
	switch body := s.Body.(type) {
	case *spec.Proposal:
		r := b.open(s)
		for i := range body.Items {
			o := &outcome{item: &body.Items[i]}
			r.items = append(r.items, o)
			b.entries[spec.EntryID(s.ID, i)] = o
		}
	case *spec.Dispute:
		b.open(s)
	case *spec.Vote:
		if r := b.cases[body.Case]; r != nil {
			r.votes[s.Op.Org] = body.Choice
		}
	case *spec.Membership:
		for i := range body.Card { // whether it is enrolled is decided later; a role is all that is taken
			if _, known := b.roles[body.Card[i].ID]; !known {
				b.roles[body.Card[i].ID] = body.Card[i].Role
			}
		}
		b.open(s)
	case *spec.KeyChange, *spec.PolicyChange, *spec.TaxonomyChange, *spec.AllowChange:
		b.open(s)
	}
}

func (b *Builder) open(s *spec.Signed) *record {
	r := &record{op: s, at: b.now, votes: map[string]uint64{}}
	b.cases[s.ID] = r
	b.order = append(b.order, r)
	return r
}

func (b *Builder) decide(d *spec.Decision) {
	r := b.cases[d.Case]
	if r == nil {
		return
	}
	r.decided, r.outcome = b.now, d.Outcome
	for i, o := range r.items {
		o.left = i/8 < len(d.Excluded) && d.Excluded[i/8]>>(i%8)&1 == 1
	}
	dispute, ok := r.op.Body.(*spec.Dispute)
	if o := b.disputed(dispute); ok && o != nil && d.Outcome == spec.OutcomeAccepted && len(dispute.Signals) == 0 {
		o.overturned = true
	}
}

func (b *Builder) disputed(d *spec.Dispute) *outcome {
	if d == nil {
		return nil
	}
	return b.entries[d.Entry]
}

func (b *Builder) notice(n *spec.Notice) {
	orgs := n.Orgs
	if len(orgs) == 0 {
		orgs = []string{""}
	}
	for _, org := range orgs {
		key := [2]string{org, spec.NoticeName(n.What)}
		x := b.notices[key]
		if x == nil {
			x = &Notice{Organisation: org, What: key[1]}
			b.notices[key] = x
		}
		if n.Level > 1 {
			x.Marked++
		} else {
			x.Noticed++
		}
	}
}

// Report returns the figures of the leaves so far.
func (b *Builder) Report() *Report {
	r := b.report
	r.ToMS, r.Members = b.now, len(b.roles)
	groups := [4]map[string]*Items{{}, {}, {}, {}}
	filers := map[string]int{}
	var decisions, rulings []int64
	for _, c := range b.order {
		switch body := c.op.Body.(type) {
		case *spec.Proposal:
			b.proposal(&r, &groups, c, body)
			if body.Urgency == spec.Urgent {
				r.Urgent.count(c.outcome)
			}
			if c.outcome != 0 {
				decisions = append(decisions, int64(c.decided-c.at))
			}
		case *spec.Dispute:
			r.Disputes.count(c.outcome)
			filers[b.role(c.op.Op.Org)]++
			if c.outcome == spec.OutcomeAccepted || c.outcome == spec.OutcomeRejected {
				rulings = append(rulings, int64(c.decided-c.at))
			}
		}
	}
	r.ByLabel, r.ByOrganisation, r.ByRole, r.ByReferral = sorted(groups[0]), sorted(groups[1]), sorted(groups[2]), sorted(groups[3])
	r.Decisions, r.Rulings = timesOf(decisions), timesOf(rulings)
	r.Disputes.ByRole = []Named{}
	for _, name := range slices.Sorted(maps.Keys(filers)) {
		r.Disputes.ByRole = append(r.Disputes.ByRole, Named{name, filers[name]})
	}
	if r.Total.Listed > 0 {
		r.Disputes.ErrorPPM = r.Total.Overturned * 1_000_000 / r.Total.Listed
	}
	r.Agreement = b.agreement()
	r.Notices = values(b.notices, func(x, y *Notice) int {
		return cmp.Or(cmp.Compare(x.Organisation, y.Organisation), cmp.Compare(x.What, y.What))
	})
	r.Cosigned = values(b.cosigned, func(x, y *Cosigned) int { return cmp.Compare(x.Organisation, y.Organisation) })
	return &r
}

func (b *Builder) role(org string) string { return cmp.Or(b.roles[org], "unknown") }

// proposal counts a proposal in the total and under each of its origins.
func (b *Builder) proposal(r *Report, groups *[4]map[string]*Items, c *record, p *spec.Proposal) {
	org := c.op.Op.Org
	referral := "none"
	for i := range p.Referral {
		referral = formName(p.Referral[i].Form) + " of " + p.Referral[i].State
	}
	into := []*Items{&r.Total, under(groups[1], org), under(groups[2], b.role(org)), under(groups[3], referral)}
	labels := map[string]bool{}
	for _, to := range into {
		to.Proposals++
	}
	for _, o := range c.items {
		for _, to := range into {
			to.add(o, c.outcome)
		}
		for _, name := range o.item.Labels {
			to := under(groups[0], name)
			if !labels[name] {
				labels[name] = true
				to.Proposals++
			}
			to.add(o, c.outcome)
		}
	}
}

func formName(form uint64) string {
	return [...]string{"", "notice", "removal order", "national order", "referral"}[min(form, 4)]
}

func under(m map[string]*Items, name string) *Items {
	if m[name] == nil {
		m[name] = &Items{Name: name}
	}
	return m[name]
}

func (i *Items) add(o *outcome, decided uint64) {
	i.Items++
	i.Signals += o.item.Signals()
	switch decided {
	case spec.OutcomeAccepted:
		if o.left {
			i.LeftOut++
			return
		}
		i.Listed++
		if o.overturned {
			i.Overturned++
		}
	case spec.OutcomeRejected:
		i.Rejected++
	case spec.OutcomeLapsed:
		i.Lapsed++
	case spec.OutcomeWithdrawn:
		i.Withdrawn++
	case spec.OutcomeMoot:
		i.Moot++
	default:
		i.Open++
	}
}

func (c *Cases) count(outcome uint64) {
	c.Cases++
	switch outcome {
	case spec.OutcomeAccepted:
		c.Accepted++
	case spec.OutcomeRejected:
		c.Rejected++
	case spec.OutcomeLapsed:
		c.Lapsed++
	case spec.OutcomeWithdrawn:
		c.Withdrawn++
	case spec.OutcomeMoot:
		c.Moot++
	default:
		c.Open++
	}
}

// agreement compares the last votes of organisations, case by case.
func (b *Builder) agreement() []Pair {
	pairs := map[[2]string]*Pair{}
	for _, c := range b.order {
		voters := slices.Sorted(maps.Keys(c.votes))
		for i, x := range voters {
			for _, y := range voters[i+1:] {
				if c.votes[x] == spec.Abstain || c.votes[y] == spec.Abstain {
					continue
				}
				p := pairs[[2]string{x, y}]
				if p == nil {
					p = &Pair{A: x, B: y}
					pairs[[2]string{x, y}] = p
				}
				p.Both++
				if c.votes[x] == c.votes[y] {
					p.Same++
				}
			}
		}
	}
	return values(pairs, func(x, y *Pair) int { return cmp.Or(cmp.Compare(x.A, y.A), cmp.Compare(x.B, y.B)) })
}

func sorted(m map[string]*Items) []Items {
	return values(m, func(x, y *Items) int { return cmp.Or(cmp.Compare(y.Items, x.Items), cmp.Compare(x.Name, y.Name)) })
}

// values lists what a map holds in an order of its own.
func values[K comparable, V any](m map[K]*V, order func(x, y *V) int) []V {
	list := slices.SortedFunc(maps.Values(m), order)
	out := make([]V, len(list))
	for i, v := range list {
		out[i] = *v
	}
	return out
}

// timesOf sums durations up: each percentile is the smallest duration that at least
// this share does not exceed.
func timesOf(list []int64) Times {
	if len(list) == 0 {
		return Times{}
	}
	slices.Sort(list)
	at := func(percent int) int64 { return list[(len(list)*percent+99)/100-1] }
	return Times{len(list), at(50), at(99), at(100)}
}
