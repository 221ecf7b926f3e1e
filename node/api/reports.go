// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"slices"
	"strconv"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// Times sum up durations, in milliseconds.
type Times struct {
	Count         int
	P50, P99, Max int64
}

// TimesOf sums durations up: each percentile is the smallest duration that at
// least this share does not exceed. It sorts list.
func TimesOf(list []int64) Times {
	if len(list) == 0 {
		return Times{}
	}
	slices.Sort(list)
	at := func(percent int) int64 { return list[(len(list)*percent+99)/100-1] }
	return Times{len(list), at(50), at(99), at(100)}
}

// A Propagation says how fast decisions become matchable.
type Propagation struct {
	From    uint64 // log index from which receipts were read
	Size    uint64 // leaves of the log
	LimitMS uint64 // of the policy, 0: none
	Members []MemberPropagation
}

// A MemberPropagation is what one member's receipts say.
type MemberPropagation struct {
	Organisation string
	Times        Times  // by its own clock
	Confirmed    uint64 // log index of the newest decision that it confirmed
	Behind       int    // decisions that it did not confirm
	Late         bool   // one of them is older than the limit
}

// A Compliance is the service clocks.
type Compliance struct {
	Referral, Dispute     ServiceClock
	MatchableMS, ActionMS uint64 // of the policy, 0: none
	Organisations         []OrganisationClocks
}

// A ServiceClock is how long decisions of one kind take, in log time.
type ServiceClock struct {
	Times   Times
	LimitMS uint64
	Open    int
	Overdue int // that were noticed as overdue, decided or not
}

// OrganisationClocks are those of one organisation.
type OrganisationClocks struct {
	Organisation, Role string
	Referral, Dispute  Times // from what it opened to the decision
	Awaited            int   // open referrals and disputes that wait for its vote
	Matchable          Times // self-reported
	Behind             int
	Actions            spec.ActionRecord // self-reported
	Marks              spec.MarksRecord
}

// selfReported names the figures that are an organisation's own word.
var selfReported = []string{"matchable", "actions"}

// ReportActions implements wire.StrictServerInterface.
func (s *service) ReportActions(ctx context.Context, req wire.ReportActionsRequestObject) (wire.ReportActionsResponseObject, error) {
	var a spec.Actions
	for i, w := range req.Body.Reports {
		where := "/reports/" + strconv.Itoa(i)
		entry, err := spec.ParseHash(w.Entry)
		if err != nil {
			return nil, wire.At(where+"/entry", err)
		}
		if w.Count < 1 || w.Matched.Year() < 1970 || w.Acted.Year() < 1970 || w.Acted.Year() > 9999 || w.Acted.Before(w.Matched) {
			return nil, wire.At(where, spec.Errorf(spec.CodeMalformed, "an action comes after the match and is about at least one piece of content"))
		}
		a.Reports = append(a.Reports, spec.Action{
			Entry: entry, What: w.What, Count: uint64(w.Count), MatchedMS: uint64(w.Matched.UnixMilli()), ActedMS: uint64(w.Acted.UnixMilli()),
		})
	}
	m, err := s.submit(ctx, "", "", func([]byte) spec.Body { return &a })
	return wire.ReportActions201JSONResponse{MadeJSONResponse: m}, err
}

// ReportPropagation implements wire.StrictServerInterface.
func (s *service) ReportPropagation(ctx context.Context, _ wire.ReportPropagationRequestObject) (wire.ReportPropagationResponseObject, error) {
	p, err := s.b.Propagation(ctx)
	if err != nil {
		return nil, err
	}
	out := wire.ReportPropagation200JSONResponse{From: int64(p.From), Size: int64(p.Size), LimitMs: int64(p.LimitMS), Members: []wire.MemberPropagation{}}
	for _, m := range p.Members {
		out.Members = append(out.Members, wire.MemberPropagation{
			Organisation: m.Organisation, Times: wireTimes(m.Times), ConfirmedIndex: int64(m.Confirmed), Behind: m.Behind, Late: m.Late,
		})
	}
	return out, nil
}

// ReportCompliance implements wire.StrictServerInterface.
func (s *service) ReportCompliance(ctx context.Context, _ wire.ReportComplianceRequestObject) (wire.ReportComplianceResponseObject, error) {
	c, err := s.b.Compliance(ctx)
	if err != nil {
		return nil, err
	}
	clock := func(k ServiceClock) wire.ServiceClock {
		return wire.ServiceClock{Times: wireTimes(k.Times), LimitMs: int64(k.LimitMS), Open: k.Open, Overdue: k.Overdue}
	}
	out := wire.ReportCompliance200JSONResponse{
		Referral: clock(c.Referral), Dispute: clock(c.Dispute), MatchableLimitMs: int64(c.MatchableMS), ActionLimitMs: int64(c.ActionMS),
		Organisations: []wire.OrganisationClocks{}, SelfReported: selfReported,
	}
	for _, o := range c.Organisations {
		w := wire.OrganisationClocks{Organisation: o.Organisation, Role: wire.Role(o.Role), Matchable: wireTimes(o.Matchable), Behind: o.Behind}
		w.Referral, w.Dispute, w.Awaited = wireTimes(o.Referral), wireTimes(o.Dispute), o.Awaited
		w.Actions.Reports, w.Actions.Late, w.Actions.WorstMs = int64(o.Actions.Reports), int64(o.Actions.Late), int64(o.Actions.WorstMS)
		w.Marks.Referral, w.Marks.Dispute, w.Marks.Matchable = int64(o.Marks.Referral), int64(o.Marks.Dispute), int64(o.Marks.Matchable)
		out.Organisations = append(out.Organisations, w)
	}
	return out, nil
}

func wireTimes(t Times) wire.Times {
	return wire.Times{Count: t.Count, P50Ms: t.P50, P99Ms: t.P99, MaxMs: t.Max}
}
