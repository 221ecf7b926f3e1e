// SPDX-License-Identifier: Apache-2.0

package api

import (
	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// idOf writes an id, none for zero.
func idOf(h spec.Hash) string {
	if h.IsZero() {
		return ""
	}
	return h.String()
}

func wireCaseSummary(c *CaseSummary) wire.CaseSummary {
	out := wire.CaseSummary{
		ID: c.ID.String(), Kind: wire.CaseKind(c.Kind), State: wire.CaseState(c.State),
		Organisation: c.Organisation, Reason: c.Reason,
		Opened: c.Opened.UTC(), Deadline: c.Deadline.UTC(),
		Need: c.Need, Yes: c.Yes, No: c.No, Abstain: c.Abstain,
		Items: c.Items, Signals: c.Signals, Entry: idOf(c.Entry), Candidate: c.Candidate, Subject: c.Subject,
		MayVote: c.MayVote, Voted: c.Voted,
	}
	if !c.Decided.IsZero() {
		out.Decided = c.Decided.UTC()
	}
	return out
}

func wireCase(c *Case) wire.Case {
	s := wireCaseSummary(&c.CaseSummary)
	out := wire.Case{
		ID: s.ID, Kind: s.Kind, State: s.State, Organisation: s.Organisation, Reason: s.Reason,
		Opened: s.Opened, Deadline: s.Deadline, Decided: s.Decided,
		Need: s.Need, Yes: s.Yes, No: s.No, Abstain: s.Abstain,
		Items: s.Items, Signals: s.Signals, Entry: s.Entry, Candidate: s.Candidate, Subject: s.Subject,
		MayVote: s.MayVote, Voted: s.Voted,

		Explanation: list(c.Explanation), Text: c.Text, Electorate: list(c.Electorate), LogIndex: int64(c.LogIndex), DecidedIndex: int64(c.DecidedAt),
		Votes: make([]wire.Vote, len(c.Votes)), Content: make([]wire.Item, len(c.Content)),
	}
	for i, v := range c.Votes {
		out.Votes[i] = wire.Vote{Organisation: v.Organisation, Choice: choiceName(v.Choice), Reason: v.Reason, LogIndex: int64(v.LogIndex)}
		out.Votes[i].Blast = wireBlast(v.Blast)
		out.Votes[i].Except, out.Votes[i].Override = wireNumbers(v.Except), wireNumbers(v.Override)
	}
	for i := range c.Content {
		out.Content[i] = wireItem(&c.Content[i])
	}
	if c.Enrol != nil {
		out.Enrol = wireCandidate(c.Enrol)
	}
	if c.Referral != nil {
		out.Referral = wireReferral(c.Referral)
	}
	return out
}

func wireCandidate(o *spec.Organisation) wire.Candidate {
	out := wire.Candidate{ID: o.ID, Name: o.Name, Role: wire.Role(o.Role), Jurisdiction: o.Jurisdiction}
	out.Keys.Op, out.Keys.Cosign, out.Keys.Libp2P = o.OpKey[:], o.CosignKey[:], o.Libp2pKey[:]
	return out
}

func wireItem(i *Item) wire.Item {
	out := wire.Item{Labels: list(i.Labels), Signals: make([]wire.Count, len(i.Counts)), Entry: idOf(i.Entry)}
	for n, c := range i.Counts {
		out.Signals[n] = wire.Count{Type: c.Type, Count: int(c.Count)}
	}
	if i.Values != nil {
		out.Values = wireSignals(i.Values)
	}
	return out
}

func wireEntrySummary(e *EntrySummary) wire.EntrySummary {
	return wire.EntrySummary{
		ID: e.ID.String(), State: wire.EntryState(e.State), Organisation: e.Organisation,
		Labels: list(e.Labels), Signals: e.Signals, LogIndex: int64(e.Since),
	}
}

func wireEntry(e *Entry) wire.Entry {
	s := wireEntrySummary(&e.EntrySummary)
	return wire.Entry{
		ID: s.ID, State: s.State, Organisation: s.Organisation, Labels: s.Labels, Signals: s.Signals, LogIndex: s.LogIndex,
		Case: e.Case.String(), Number: e.Number, Content: wireItem(&e.Content), Dispute: idOf(e.Dispute),
	}
}

func wireNumbers(list []uint64) []int64 {
	var out []int64
	for _, n := range list {
		out = append(out, int64(n))
	}
	return out
}

func wireBlast(list []spec.Blast) []wire.Blast {
	var out []wire.Blast
	for _, b := range list {
		out = append(out, wire.Blast{Item: int64(b.Item), Sightings: int64(b.Sightings), Lawful: int64(b.Lawful)})
	}
	return out
}
