// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/hex"
	"slices"
	"time"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/spec"
)

// listed walks the records under prefix behind a cursor and collects what keep
// takes, one page of it, with the cursor of the next page.
func listed[T any](n *Node, prefix []byte, p api.Page, keep func(key, value []byte) (T, bool, error)) ([]T, string, error) {
	from := prefix
	if p.Cursor != "" {
		last, err := hex.DecodeString(p.Cursor)
		if err != nil || len(last) > 256 {
			return nil, "", spec.Errorf(spec.CodeMalformed, "the cursor is not one that a page returned")
		}
		from = append(last, 0)
	}
	var out []T
	var bad error
	var cursor, last string
	err := n.store.RecordsFrom(prefix, from, func(key, value []byte) bool {
		item, ok, err := keep(key, value)
		if err != nil {
			bad = err
			return false
		}
		if !ok {
			return true
		}
		if len(out) == p.Limit {
			cursor = last
			return false
		}
		out, last = append(out, item), hex.EncodeToString(key)
		return true
	})
	return out, cursor, firstOf(err, bad)
}

// Cases implements api.Backend.
func (n *Node) Cases(_ context.Context, f api.CaseFilter, p api.Page) ([]api.CaseSummary, string, error) {
	prefix := spec.CasePrefix
	if f.Mine || f.State == spec.OutcomeName(0) {
		prefix = spec.DuePrefix // open cases, by deadline
	}
	return listed(n, prefix, p, func(key, _ []byte) (api.CaseSummary, bool, error) {
		var id spec.Hash
		if prefix[0] == spec.DuePrefix[0] {
			_, id, _ = spec.ParseDueKey(key)
		} else {
			copy(id[:], key[1:])
		}
		s, _, err := n.summary(id)
		return s, err == nil && wanted(f, &s), err
	})
}

func wanted(f api.CaseFilter, s *api.CaseSummary) bool {
	return (f.State == "" || s.State == f.State) && (f.Kind == "" || s.Kind == f.Kind) && (!f.Mine || s.MayVote && !s.Voted)
}

// summary reads a case and counts its votes.
func (n *Node) summary(id spec.Hash) (api.CaseSummary, *spec.Case, error) {
	var c spec.Case
	b, err := n.store.Record(spec.CaseKey(id))
	if err != nil {
		return api.CaseSummary{}, nil, err
	}
	if b == nil {
		return api.CaseSummary{}, nil, spec.Errorf(spec.CodeCase, "no case has this id")
	}
	if err := spec.Decode(b, &c); err != nil {
		return api.CaseSummary{}, nil, err
	}
	self := n.id.Organisation.ID
	s := api.CaseSummary{
		ID: id, State: spec.OutcomeName(c.Outcome), Organisation: c.Org, Reason: c.Reason,
		Opened: logTime(c.OpenedMS), Deadline: logTime(c.DeadlineMS), Need: int(c.Need),
		Items: int(c.Items), Signals: int(c.Signals), Entry: c.Entry, Subject: c.Subject,
		Yes: int(c.Yes), No: int(c.No), Abstain: int(c.Abstain),
	}
	if s.Kind, err = n.caseKind(id, &c); err != nil {
		return api.CaseSummary{}, nil, err
	}
	if c.Kind == spec.KindMembership {
		s.Candidate = c.Subject
	}
	electorate, err := governance.Electorate(n.store, &c)
	if err != nil {
		return api.CaseSummary{}, nil, err
	}
	s.MayVote = c.Open() && slices.Contains(electorate, self)
	if !c.Open() {
		s.Decided = logTime(c.DecidedMS)
	}
	ballot, err := n.store.Record(spec.VoteKey(id, self))
	if err != nil {
		return api.CaseSummary{}, nil, err
	}
	s.Voted = ballot != nil
	return s, &c, nil
}

// caseKind is the word for what a case asks for.
func (n *Node) caseKind(id spec.Hash, c *spec.Case) (string, error) {
	switch c.Kind {
	case spec.KindProposal:
		return n.additionKind(id, c)
	case spec.KindDispute:
		return api.CaseDispute, nil
	case spec.KindKey:
		return api.CaseKey, nil
	case spec.KindPolicy:
		return api.CasePolicy, nil
	case spec.KindTaxonomy:
		return api.CaseTaxonomy, nil
	case spec.KindAllow:
		return api.CaseAllow, nil
	}
	switch c.Reason {
	case "expel":
		return api.CaseExpulsion, nil
	case "leave":
		return api.CaseLeave, nil
	case "tier":
		return api.CaseTier, nil
	}
	return api.CaseEnrolment, nil
}

func (n *Node) additionKind(id spec.Hash, c *spec.Case) (string, error) {
	body, err := governance.Content(n.store, id, c)
	if err != nil {
		return "", err
	}
	p, _ := body.(*spec.Proposal)
	switch {
	case p != nil && p.Urgency == spec.Urgent:
		return api.CaseUrgent, nil
	case p != nil && len(p.Referral) > 0:
		return api.CaseReferral, nil
	}
	return api.CaseAddition, nil
}

// logTime converts log time, which stands still at zero until the first tick.
func logTime(ms uint64) time.Time { return time.UnixMilli(int64(ms)).UTC() }

func (n *Node) votes(id spec.Hash) ([]api.Vote, error) {
	var out []api.Vote
	var bad error
	prefix := spec.VotePrefix(id)
	err := n.store.Records(prefix, func(key, value []byte) bool {
		var v spec.VoteRecord
		if bad = spec.Decode(value, &v); bad != nil {
			return false
		}
		out = append(out, api.Vote{
			Organisation: string(key[len(prefix):]), Choice: v.Choice, Except: v.Except, Override: v.Override, Blast: v.Blast, Reason: v.Reason, LogIndex: v.Index,
		})
		return true
	})
	return out, firstOf(err, bad)
}

// Case implements api.Backend.
func (n *Node) Case(_ context.Context, id spec.Hash, reveal bool) (api.Case, error) {
	s, c, err := n.summary(id)
	if err != nil {
		return api.Case{}, err
	}
	out := api.Case{CaseSummary: s, LogIndex: c.Index, DecidedAt: c.Decided}
	if out.Electorate, err = governance.Electorate(n.store, c); err != nil {
		return out, err
	}
	if out.Votes, err = n.votes(id); err != nil {
		return out, err
	}
	if out.Explanation, err = governance.Explain(n.store, id); err != nil {
		return out, err
	}
	body, err := governance.Content(n.store, id, c)
	if err != nil {
		return out, err
	}
	o, err := n.store.Opening(id)
	if err != nil {
		return out, err
	}
	var items []spec.Item
	switch b := body.(type) {
	case *spec.Proposal:
		items = b.Items
		out.Referral = referralOf(b, o)
	case *spec.Membership:
		for i := range b.Card {
			out.Enrol = &b.Card[i]
		}
	}
	if o != nil && len(o.Texts) > 0 {
		out.Text = o.Texts[0].Text
	}
	first := 0
	for i := range items {
		item := api.Item{Labels: items[i].Labels, Counts: items[i].Counts}
		count := items[i].Signals()
		if b, err := n.store.Record(spec.EntryKey(spec.EntryID(id, i))); err != nil {
			return out, err
		} else if b != nil {
			item.Entry = spec.EntryID(id, i)
		}
		if reveal {
			item.Values = values(o, first, count)
		}
		first += count
		out.Content = append(out.Content, item)
	}
	return out, nil
}

// referralOf returns the referral of a proposal with the texts that are held.
func referralOf(p *spec.Proposal, o *spec.Opening) *api.Referral {
	if len(p.Referral) == 0 {
		return nil
	}
	r := &api.Referral{Referral: p.Referral[0]}
	if o != nil && len(o.Texts) == 5 {
		r.ReferenceText, r.AuthorityText, r.LocatorText = o.Texts[2].Text, o.Texts[3].Text, o.Texts[4].Text
	}
	return r
}

// values returns the signals of an opening whose values are held.
func values(o *spec.Opening, first, count int) []spec.Signal {
	if o == nil || first+count > len(o.Signals) {
		return nil
	}
	var out []spec.Signal
	for _, s := range o.Signals[first : first+count] {
		if !s.Hidden() {
			out = append(out, s.Signal)
		}
	}
	return out
}

// Entries implements api.Backend.
func (n *Node) Entries(_ context.Context, f api.EntryFilter, p api.Page) ([]api.EntrySummary, string, error) {
	return listed(n, spec.EntryPrefix, p, func(key, value []byte) (api.EntrySummary, bool, error) {
		var e spec.Entry
		if err := spec.Decode(value, &e); err != nil {
			return api.EntrySummary{}, false, err
		}
		s := entrySummary(spec.Hash(key[1:]), &e)
		ok := (f.State == "" || s.State == f.State) && (f.Organisation == "" || s.Organisation == f.Organisation) &&
			(f.Label == "" || slices.Contains(s.Labels, f.Label))
		return s, ok, nil
	})
}

func entrySummary(id spec.Hash, e *spec.Entry) api.EntrySummary {
	return api.EntrySummary{
		ID: id, State: spec.StateName(e.State), Organisation: e.Org, Labels: e.Labels, Signals: int(e.Count), Since: e.Since,
	}
}

// Entry implements api.Backend.
func (n *Node) Entry(_ context.Context, id spec.Hash, reveal bool) (api.Entry, error) {
	b, err := n.store.Record(spec.EntryKey(id))
	if err != nil {
		return api.Entry{}, err
	}
	if b == nil {
		return api.Entry{}, spec.Errorf(spec.CodeEntry, "no entry has this id")
	}
	var e spec.Entry
	if err := spec.Decode(b, &e); err != nil {
		return api.Entry{}, err
	}
	out := api.Entry{
		EntrySummary: entrySummary(id, &e), Case: e.Case, Number: int(e.Item), Dispute: e.Dispute,
		Content: api.Item{Labels: e.Labels, Counts: e.Counts, Entry: id},
	}
	if reveal {
		o, err := n.store.Opening(e.Case)
		if err != nil {
			return out, err
		}
		out.Content.Values = values(o, int(e.First), int(e.Count))
	}
	return out, nil
}
