// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"log/slog"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

const defaultPage = 100

func page(cursor wire.Cursor, limit wire.Limit) (Page, error) {
	if limit == 0 {
		limit = defaultPage
	}
	if limit < 1 || limit > MaxPage || len(cursor) > 256 {
		return Page{}, spec.Errorf(spec.CodeMalformed, "a page has 1 to %d lines, a cursor is what the page before said", MaxPage)
	}
	return Page{Cursor: cursor, Limit: limit}, nil
}

// oneOf refuses a value of a parameter that is given and is not one of its words.
func oneOf(name, value string, valid bool) error {
	if value == "" || valid {
		return nil
	}
	return spec.Errorf(spec.CodeMalformed, "the parameter %q has a value that it does not take", name)
}

// ListCases implements wire.StrictServerInterface.
func (s *service) ListCases(ctx context.Context, req wire.ListCasesRequestObject) (wire.ListCasesResponseObject, error) {
	q := req.Params
	p, err := page(q.Cursor, q.Limit)
	if err == nil {
		err = oneOf("state", string(q.State), q.State.Valid())
	}
	if err == nil {
		err = oneOf("kind", string(q.Kind), q.Kind.Valid())
	}
	if err != nil {
		return nil, err
	}
	cases, next, err := s.b.Cases(ctx, CaseFilter{State: string(q.State), Kind: string(q.Kind), Mine: q.Mine}, p)
	if err != nil {
		return nil, err
	}
	out := wire.ListCases200JSONResponse{Cases: make([]wire.CaseSummary, len(cases)), Next: next}
	for i := range cases {
		out.Cases[i] = wireCaseSummary(&cases[i])
	}
	return out, nil
}

// ShowCase implements wire.StrictServerInterface.
func (s *service) ShowCase(ctx context.Context, req wire.ShowCaseRequestObject) (wire.ShowCaseResponseObject, error) {
	id, err := spec.ParseHash(req.ID)
	if err != nil {
		return nil, err
	}
	c, err := s.b.Case(ctx, id, req.Params.Reveal)
	if err != nil {
		return nil, err
	}
	logReveal(ctx, req.Params.Reveal, "case", id)
	return wire.ShowCase200JSONResponse(wireCase(&c)), nil
}

// ListEntries implements wire.StrictServerInterface.
func (s *service) ListEntries(ctx context.Context, req wire.ListEntriesRequestObject) (wire.ListEntriesResponseObject, error) {
	q := req.Params
	p, err := page(q.Cursor, q.Limit)
	if err == nil {
		err = oneOf("state", string(q.State), q.State.Valid())
	}
	if err != nil {
		return nil, err
	}
	entries, next, err := s.b.Entries(ctx, EntryFilter{State: string(q.State), Label: q.Label, Organisation: q.Organisation}, p)
	if err != nil {
		return nil, err
	}
	out := wire.ListEntries200JSONResponse{Entries: make([]wire.EntrySummary, len(entries)), Next: next}
	for i := range entries {
		out.Entries[i] = wireEntrySummary(&entries[i])
	}
	return out, nil
}

// ShowEntry implements wire.StrictServerInterface.
func (s *service) ShowEntry(ctx context.Context, req wire.ShowEntryRequestObject) (wire.ShowEntryResponseObject, error) {
	id, err := spec.ParseHash(req.ID)
	if err != nil {
		return nil, err
	}
	e, err := s.b.Entry(ctx, id, req.Params.Reveal)
	if err != nil {
		return nil, err
	}
	logReveal(ctx, req.Params.Reveal, "entry", id)
	return wire.ShowEntry200JSONResponse(wireEntry(&e)), nil
}

// logReveal keeps who looked at values, and of what.
func logReveal(ctx context.Context, reveal bool, kind string, id spec.Hash) {
	if reveal {
		loggerOf(ctx).LogAttrs(ctx, slog.LevelInfo, "values were shown",
			slog.String(kind, id.String()), slog.Int("uid", callerOf(ctx).uid))
	}
}

// ListMembers implements wire.StrictServerInterface.
func (s *service) ListMembers(ctx context.Context, _ wire.ListMembersRequestObject) (wire.ListMembersResponseObject, error) {
	members, err := s.b.Members(ctx)
	if err != nil {
		return nil, err
	}
	out := wire.ListMembers200JSONResponse{Members: make([]wire.Member, len(members))}
	for i, m := range members {
		out.Members[i] = wire.Member{
			ID: m.ID, Name: m.Name, Role: wire.Role(m.Role), Tier: wire.Tier(m.Tier), Jurisdiction: m.Jurisdiction,
			LogIndex: int64(m.Since), Self: m.Self, Leader: m.Leader, Connected: m.Connected,
		}
	}
	return out, nil
}

// Status implements wire.StrictServerInterface.
func (s *service) Status(ctx context.Context, _ wire.StatusRequestObject) (wire.StatusResponseObject, error) {
	st, err := s.b.Status(ctx)
	if err != nil {
		return nil, err
	}
	return wire.Status200JSONResponse{
		Version: st.Version, Origin: st.Origin, Organisation: st.Organisation, Role: wire.Role(st.Role), Tier: wire.Tier(st.Tier),
		Raft: st.Raft, Leader: st.Leader, Epoch: int64(st.Epoch), LogTime: st.LogTime.UTC(),
		Entries: int64(st.Entries), Signals: int64(st.Signals), OpenCases: int64(st.OpenCases), Peers: st.Peers,
		LiveRoot: st.LiveRoot.String(), RulesRoot: st.RulesRoot.String(),
		Size: int64(st.Size), FinalSize: int64(st.Final), AgeMs: st.Age.Milliseconds(), Stale: st.Stale,
		Damage: st.Damage, NotAnswering: st.NotAnswering, NotCosigning: st.NotCosigning, Cosigners: append([]string{}, st.Cosigners...), Witnesses: append([]string{}, st.Witnesses...), Sync: wireSync(st.Sync), Serving: wireServing(&st.Serving),
		Consortia: wireConsortia(st.Consortia),
	}, nil
}

func wireSync(s *Sync) *wire.Sync {
	if s == nil {
		return nil
	}
	out := &wire.Sync{
		State: s.State, KnownSize: int64(s.Known), Behind: int64(s.Behind), Followers: s.Followers,
		SnapshotDone: int64(s.Done), SnapshotSize: int64(s.Of), LastError: s.LastError, Upstreams: make([]wire.Upstream, len(s.Upstreams)),
	}
	for i, u := range s.Upstreams {
		out.Upstreams[i] = wire.Upstream{Organisation: u.Organisation, Pushes: u.Pushes, Size: int64(u.Size)}
	}
	for _, r := range s.Refusals {
		out.Refusals = append(out.Refusals, wire.Refusal{Organisation: r.Organisation, Peer: r.Peer, Code: string(r.Code), Message: r.Message, Since: r.Since.UTC()})
	}
	if s.LastError != "" {
		out.LastErrorAt = s.FailedAt.UTC()
	}
	return out
}

func wireServing(s *Serving) wire.Serving {
	return wire.Serving{
		Subscribers: s.Subscribers, MaxSubscribers: s.MaxSubscribers, Followers: s.Followers, MaxFollowers: s.MaxFollowers,
		BulkRate: s.BulkRate, BulkBytes: int64(s.BulkBytes), Chunks: int64(s.Chunks), Denied: int64(s.Denied),
	}
}

// VerifyStore implements wire.StrictServerInterface.
func (s *service) VerifyStore(ctx context.Context, _ wire.VerifyStoreRequestObject) (wire.VerifyStoreResponseObject, error) {
	r, err := s.b.VerifyStore(ctx)
	if err != nil {
		return nil, err
	}
	return wire.VerifyStore200JSONResponse(WireStoreReport(r)), nil
}

// WireStoreReport is a report as it goes over the wire.
func WireStoreReport(r *StoreReport) wire.StoreReport {
	out := wire.StoreReport{
		Ok: len(r.Bad) == 0, Size: int64(r.Size), Live: int64(r.Live), Rules: int64(r.Rules), Derived: int64(r.Derived),
		Bad: make([]wire.BadBucket, len(r.Bad)), More: r.More,
	}
	for i, b := range r.Bad {
		out.Bad[i] = wire.BadBucket{Tree: b.Tree, Bucket: int64(b.Bucket), Of: int64(b.Of), Reason: b.Reason}
	}
	return out
}

// RepairStore implements wire.StrictServerInterface.
func (s *service) RepairStore(ctx context.Context, _ wire.RepairStoreRequestObject) (wire.RepairStoreResponseObject, error) {
	r, err := s.b.RepairStore(ctx)
	if err != nil {
		return nil, err
	}
	return wire.RepairStore200JSONResponse(WireRepairReport(r)), nil
}

// WireRepairReport is a report as it goes over the wire.
func WireRepairReport(r *RepairReport) wire.RepairReport {
	out := wire.RepairReport{Ok: true, Peers: []wire.ComparedPeer{}, Buckets: []wire.RepairedBucket{}}
	for _, p := range r.Peers {
		out.Peers = append(out.Peers, wire.ComparedPeer{Organisation: p.Organisation, Size: int64(p.Size), Answers: p.Answers, Says: p.Says})
	}
	for _, b := range r.Buckets {
		out.Ok = out.Ok && b.Repaired
		out.Buckets = append(out.Buckets, wire.RepairedBucket{Tree: b.Tree, Bucket: int64(b.Bucket), Of: int64(b.Of), Repaired: b.Repaired, From: b.From, Reason: b.Reason})
	}
	if m := r.Rebuilt; m != nil {
		out.Rebuilt = &wire.RebuiltStore{Size: int64(m.Size), FinalSize: int64(m.Final), Lost: append([]string{}, m.Lost...), Aside: m.Aside}
	}
	return out
}

// Livez implements wire.StrictServerInterface: whoever reads this is answered.
func (s *service) Livez(context.Context, wire.LivezRequestObject) (wire.LivezResponseObject, error) {
	return wire.Livez200JSONResponse{Ok: true, Checks: []wire.Check{}}, nil
}

// Readyz implements wire.StrictServerInterface.
func (s *service) Readyz(ctx context.Context, _ wire.ReadyzRequestObject) (wire.ReadyzResponseObject, error) {
	h := wire.Health{Ok: true, Checks: []wire.Check{}}
	for _, c := range s.b.Ready(ctx) {
		h.Ok = h.Ok && c.OK
		h.Checks = append(h.Checks, wire.Check{Name: c.Name, Ok: c.OK, Reason: c.Reason})
	}
	list, err := s.b.Consortia(ctx)
	if err != nil {
		return nil, err
	}
	for _, other := range list {
		for _, c := range other.Checks {
			h.Checks = append(h.Checks, wire.Check{Name: c.Name, Ok: c.OK, Reason: c.Reason, Consortium: other.Name})
		}
	}
	if !h.Ok {
		return wire.Readyz503JSONResponse(h), nil
	}
	return wire.Readyz200JSONResponse(h), nil
}
