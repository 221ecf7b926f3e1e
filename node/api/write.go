// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// defaultInvitation is how long an invitation lasts when nobody says.
const defaultInvitation = 7 * 24 * time.Hour

// Propose implements wire.StrictServerInterface.
func (s *service) Propose(ctx context.Context, req wire.ProposeRequestObject) (wire.ProposeResponseObject, error) {
	p := Proposal{Basis: req.Body.Basis, Text: req.Body.Text, Urgent: req.Body.Urgent, Key: req.Body.IdempotencyKey}
	if p.Key != "" && !keyForm.MatchString(p.Key) {
		return nil, wire.At("/idempotency_key", spec.Errorf(spec.CodeMalformed, "a key is 1 to 64 letters, digits, - and _"))
	}
	if len(req.Body.Items) == 0 || len(req.Body.Items) > spec.MaxItems {
		return nil, wire.At("/items", spec.Errorf(spec.CodeMalformed, "a proposal has 1 to %d items", spec.MaxItems))
	}
	for i, w := range req.Body.Items {
		item, err := proposalItem(w, "/items/"+strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		p.Items = append(p.Items, item)
	}
	if err := checkText(p.Text); err != nil {
		return nil, err
	}
	var err error
	if p.Referral, err = referralOf(req.Body.Referral); err != nil {
		return nil, err
	}
	id, err := s.b.Propose(ctx, p)
	if err != nil {
		return nil, err
	}
	return wire.Propose201JSONResponse{MadeJSONResponse: made(id, "/v1/cases/")}, nil
}

// proposePlain implements Propose for a proposal without a referral: see plain. A
// large one takes longer to read than all else that this node does for it.
func (s *service) proposePlain(w http.ResponseWriter, r *http.Request) (answered bool) {
	if r.Header.Get("Content-Type") != "application/json" {
		return false
	}
	var read bytes.Buffer
	_, err := read.ReadFrom(r.Body) // it is bounded
	var q wire.ProposalRequest
	if err != nil || !q.Quick(read.Bytes()) {
		r.Body = &readBefore{r.Body, io.MultiReader(&read, r.Body)}
		return false
	}
	made, err := s.Propose(r.Context(), wire.ProposeRequestObject{Body: &q})
	if err == nil {
		err = made.VisitProposeResponse(w)
	}
	if err != nil {
		fail(w, r, err)
	}
	return true
}

// proposalItem reads an item and brings labels and signals in the order that an
// operation has them in.
func proposalItem(w wire.ProposalItem, pointer string) (ProposalItem, error) {
	item := ProposalItem{Labels: slices.Compact(slices.Sorted(slices.Values(w.Labels)))}
	if len(w.Signals) == 0 {
		return item, wire.At(pointer+"/signals", spec.Errorf(spec.CodeMalformed, "an item has at least one signal"))
	}
	type place struct{ typ, value string }
	seen := make(map[place]bool, len(w.Signals))
	item.Signals = make([]spec.Signal, 0, len(w.Signals))
	for i, ws := range w.Signals {
		where := func() string { return pointer + "/signals/" + strconv.Itoa(i) }
		sig, err := spec.ParseSignal(ws.Type, ws.Value)
		if err != nil || ws.Quality != nil {
			sig, err = signal(ws, where())
		}
		if err != nil {
			return item, err
		}
		if t, _ := spec.SignalTypeOf(sig.Type); sig.Quality < t.MinQuality {
			return item, wire.At(where()+"/quality", spec.Errorf(spec.CodeSignal, "a %s of a quality under %d is not proposed", t.Name, t.MinQuality))
		}
		at := place{sig.Type, string(sig.Value)}
		if seen[at] {
			return item, wire.At(where(), spec.Errorf(spec.CodeDuplicate, "the item lists one signal twice"))
		}
		seen[at] = true
		item.Signals = append(item.Signals, sig)
	}
	slices.SortStableFunc(item.Signals, func(a, b spec.Signal) int { return typeRanks[a.Type] - typeRanks[b.Type] })
	return item, nil
}

// typeRanks are the places of the types in the order of the specification.
var typeRanks = func() map[string]int {
	ranks := map[string]int{}
	for i, t := range spec.SignalTypes() {
		ranks[t.Name] = i
	}
	return ranks
}()

// choices are the words for a ballot.
var choices = map[wire.Choice]uint64{"approve": spec.Approve, "reject": spec.Reject, "abstain": spec.Abstain}

func choiceName(choice uint64) wire.Choice {
	for name, c := range choices {
		if c == choice {
			return name
		}
	}
	return ""
}

// Vote implements wire.StrictServerInterface.
func (s *service) Vote(ctx context.Context, req wire.VoteRequestObject) (wire.VoteResponseObject, error) {
	b := Ballot{Reason: req.Body.Reason, Text: req.Body.Text}
	var err error
	if b.Case, err = spec.ParseHash(req.Body.Case); err != nil {
		return nil, wire.At("/case", err)
	}
	var ok bool
	if b.Choice, ok = choices[req.Body.Choice]; !ok {
		return nil, wire.At("/choice", spec.Errorf(spec.CodeMalformed, "a vote is approve, reject or abstain"))
	}
	if b.Except, err = numbers("/except", req.Body.Except, spec.MaxItems); err != nil {
		return nil, err
	}
	if b.Override, err = numbers("/override", req.Body.Override, spec.MaxItems); err != nil {
		return nil, err
	}
	if err := checkText(b.Text); err != nil {
		return nil, err
	}
	cast, err := s.b.Vote(ctx, b)
	if err != nil {
		return nil, err
	}
	return wire.Vote201JSONResponse{
		Body:    wire.Cast{ID: cast.ID.String(), Blast: wireBlast(cast.Blast)},
		Headers: wire.Vote201ResponseHeaders{Location: "/v1/cases/" + b.Case.String()},
	}, nil
}

// numbers reads numbers under a limit and brings them in order, each once.
func numbers(pointer string, list []int64, limit int64) ([]uint64, error) {
	var out []uint64
	for i, n := range list {
		if n < 0 || n >= limit {
			return nil, wire.At(pointer+"/"+strconv.Itoa(i), spec.Errorf(spec.CodeMalformed, "a number here is from 0 to %d", limit-1))
		}
		out = append(out, uint64(n))
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Dispute implements wire.StrictServerInterface.
func (s *service) Dispute(ctx context.Context, req wire.DisputeRequestObject) (wire.DisputeResponseObject, error) {
	c := Claim{Reason: req.Body.Reason, Text: req.Body.Text, Freeze: req.Body.Freeze}
	var err error
	if c.Entry, err = spec.ParseHash(req.Body.Entry); err != nil {
		return nil, wire.At("/entry", err)
	}
	if c.Signals, err = numbers("/signals", req.Body.Signals, spec.MaxSignals); err != nil {
		return nil, err
	}
	if err := checkText(c.Text); err != nil {
		return nil, err
	}
	id, err := s.b.Dispute(ctx, c)
	if err != nil {
		return nil, err
	}
	return wire.Dispute201JSONResponse{MadeJSONResponse: made(id, "/v1/cases/")}, nil
}

// Invite implements wire.StrictServerInterface.
func (s *service) Invite(ctx context.Context, req wire.InviteRequestObject) (wire.InviteResponseObject, error) {
	ttl := defaultInvitation
	if n := req.Body.ExpiresS; n < 0 || n > 10*365*24*3600 {
		return nil, wire.At("/expires_s", spec.Errorf(spec.CodeMalformed, "this is not a number of seconds that an invitation can last"))
	} else if n > 0 {
		ttl = time.Duration(n) * time.Second
	}
	if !req.Body.Role.Valid() {
		return nil, wire.At("/role", spec.Errorf(spec.CodeMalformed, "a role is one of member, reader, referrer, auditor"))
	}
	tier, err := tierOf("/tier", string(req.Body.Role), req.Body.Tier)
	if err != nil {
		return nil, err
	}
	i, err := s.b.Invite(ctx, string(req.Body.Role), tier, ttl)
	if err != nil {
		return nil, err
	}
	return wire.Invite201JSONResponse{Line: i.Line, Role: wire.Role(i.Role), Tier: wire.Tier(i.Tier), Expires: i.Expires.UTC()}, nil
}

// tierOf reads the tier in which a role is to be enrolled: full where none is said.
func tierOf(at, role string, t wire.Tier) (string, error) {
	if t == "" {
		return spec.TierFull, nil
	}
	if err := spec.CheckTier(role, string(t)); err != nil {
		return "", wire.At(at, err)
	}
	return string(t), nil
}

func checkText(text string) error {
	if len(text) > spec.MaxText {
		return wire.At("/text", spec.Errorf(spec.CodeTooLarge, "a text has at most %d bytes", spec.MaxText))
	}
	return nil
}

func made(id spec.Hash, at string) wire.MadeJSONResponse {
	return wire.MadeJSONResponse{Body: wire.Made{ID: id.String()}, Headers: wire.MadeResponseHeaders{Location: at + id.String()}}
}
