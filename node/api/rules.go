// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// submit sees an operation with one free text through.
func (s *service) submit(ctx context.Context, text, location string, body func(hash []byte) spec.Body) (wire.MadeJSONResponse, error) {
	if err := checkText(text); err != nil {
		return wire.MadeJSONResponse{}, err
	}
	id, err := s.b.Submit(ctx, text, body)
	return made(id, location), err
}

// Withdraw implements wire.StrictServerInterface.
func (s *service) Withdraw(ctx context.Context, req wire.WithdrawRequestObject) (wire.WithdrawResponseObject, error) {
	id, err := spec.ParseHash(req.Body.Case)
	if err != nil {
		return nil, wire.At("/case", err)
	}
	m, err := s.submit(ctx, req.Body.Text, "", func(hash []byte) spec.Body {
		return &spec.Withdraw{Case: id, Reason: req.Body.Reason, Text: hash}
	})
	m.Headers.Location = "/v1/cases/" + id.String()
	return wire.Withdraw201JSONResponse{MadeJSONResponse: m}, err
}

// actions are the words for what is asked for about an organisation.
var actions = map[wire.MembershipRequestAction]uint64{"enrol": spec.ActionEnrol, "expel": spec.ActionExpel, "leave": spec.ActionLeave, "tier": spec.ActionTier}

// ChangeMembership implements wire.StrictServerInterface.
func (s *service) ChangeMembership(ctx context.Context, req wire.ChangeMembershipRequestObject) (wire.ChangeMembershipResponseObject, error) {
	b := req.Body
	m := spec.Membership{Action: actions[b.Action], Org: b.Organisation}
	switch {
	case m.Action == 0:
		return nil, wire.At("/action", spec.Errorf(spec.CodeMalformed, "a membership operation enrols, expels, leaves or changes a tier"))
	case (b.Card != nil) != (m.Action == spec.ActionEnrol):
		return nil, wire.At("/card", spec.Errorf(spec.CodeCard, "an enrolment carries one card, nothing else does"))
	case b.Card != nil:
		o, proofs, err := organisationOf(b.Card)
		if err != nil {
			return nil, err
		}
		tier, err := tierOf("/tier", o.Role, b.Tier)
		if err != nil {
			return nil, err
		}
		m = *spec.Enrolment(o, proofs, tier)
	case m.Action == spec.ActionTier:
		m.Tier = string(b.Tier)
		if err := spec.CheckTier(spec.RoleReader, m.Tier); err != nil {
			return nil, wire.At("/tier", err)
		}
	case b.Tier != "":
		return nil, wire.At("/tier", spec.Errorf(spec.CodeMalformed, "only an enrolment and a change of tier name a tier"))
	case m.Action == spec.ActionLeave:
		st, err := s.b.Status(ctx)
		if err != nil {
			return nil, err
		}
		if m.Org = st.Organisation; b.Organisation != "" && b.Organisation != m.Org {
			return nil, wire.At("/organisation", spec.Errorf(spec.CodeRole, "an organisation leaves by its own node"))
		}
	}
	out, err := s.submit(ctx, b.Text, "/v1/cases/", func(hash []byte) spec.Body {
		m.Text = hash
		return &m
	})
	return wire.ChangeMembership201JSONResponse{MadeJSONResponse: out}, err
}

// organisationOf reads a card with the signatures by its keys.
func organisationOf(c *wire.Candidate) (spec.Organisation, []spec.Proof, error) {
	o, err := cardOf(c)
	var proofs []spec.Proof
	for _, b := range c.Proofs {
		p, bad := proofOf("/card/proofs", b)
		err = errors.Join(err, bad)
		proofs = append(proofs, p)
	}
	if err == nil {
		err = wire.At("/card/proofs", spec.CheckCardProofs(&o, proofs))
	}
	return o, proofs, err
}

func proofOf(pointer string, b []byte) (p spec.Proof, err error) {
	if len(b) != len(p) {
		return p, wire.At(pointer, spec.Errorf(spec.CodePossession, "a signature has %d bytes, not %d", len(p), len(b)))
	}
	return spec.Proof(b), nil
}

func cardOf(c *wire.Candidate) (spec.Organisation, error) {
	o := spec.Organisation{ID: c.ID, Name: c.Name, Role: string(c.Role), Jurisdiction: c.Jurisdiction}
	var err error
	if o.OpKey, err = publicKey("/card/keys/op", c.Keys.Op); err != nil {
		return o, err
	}
	if o.CosignKey, err = publicKey("/card/keys/cosign", c.Keys.Cosign); err != nil {
		return o, err
	}
	if o.Libp2pKey, err = publicKey("/card/keys/libp2p", c.Keys.Libp2P); err != nil {
		return o, err
	}
	return o, wire.At("/card", o.Check())
}

func publicKey(pointer string, b []byte) (k spec.PublicKey, err error) {
	if len(b) != len(k) {
		return k, wire.At(pointer, spec.Errorf(spec.CodeMalformed, "a public key has %d bytes, not %d", len(k), len(b)))
	}
	return spec.PublicKey(b), nil
}

// uses are the words for the uses of a key.
var uses = map[wire.KeyUse]uint64{"op": spec.UseOp, "cosign": spec.UseCosign, "libp2p": spec.UseLibp2p}

// ChangeKey implements wire.StrictServerInterface.
func (s *service) ChangeKey(ctx context.Context, req wire.ChangeKeyRequestObject) (wire.ChangeKeyResponseObject, error) {
	b := req.Body
	k := spec.KeyChange{Org: b.Organisation, Use: uses[b.Use], Since: uint64(b.Since), Reason: b.Reason}
	if k.Use == 0 {
		return nil, wire.At("/use", spec.Errorf(spec.CodeMalformed, "a key is for op, cosign or libp2p"))
	}
	if b.Since < 0 {
		return nil, wire.At("/since", spec.Errorf(spec.CodeMalformed, "an index of the log is not negative"))
	}
	if k.Org == "" {
		st, err := s.b.Status(ctx)
		if err != nil {
			return nil, err
		}
		k.Org = st.Organisation
	}
	for _, part := range []struct {
		pointer string
		from    []byte
		to      *[]spec.PublicKey
	}{{"/new", b.New, &k.New}, {"/old", b.Old, &k.Old}} {
		if len(part.from) == 0 {
			continue
		}
		key, err := publicKey(part.pointer, part.from)
		if err != nil {
			return nil, err
		}
		*part.to = []spec.PublicKey{key}
	}
	if len(k.New) > 0 {
		p, err := proofOf("/proof", b.Proof)
		if err != nil {
			return nil, err
		}
		k.Proof = []spec.Proof{p}
	}
	m, err := s.submit(ctx, b.Text, "/v1/cases/", func(hash []byte) spec.Body {
		k.Text = hash
		return &k
	})
	return wire.ChangeKey201JSONResponse{MadeJSONResponse: m}, err
}

// ShowPolicy implements wire.StrictServerInterface.
func (s *service) ShowPolicy(ctx context.Context, _ wire.ShowPolicyRequestObject) (wire.ShowPolicyResponseObject, error) {
	p, err := s.b.Policy(ctx)
	if err != nil {
		return nil, err
	}
	return wire.ShowPolicy200JSONResponse{Over: p.Digest().String(), Policy: wirePolicy(p)}, nil
}

// ChangePolicy implements wire.StrictServerInterface.
func (s *service) ChangePolicy(ctx context.Context, req wire.ChangePolicyRequestObject) (wire.ChangePolicyResponseObject, error) {
	over, err := spec.ParseHash(req.Body.Over)
	if err != nil {
		return nil, wire.At("/over", err)
	}
	p, err := policyOf(&req.Body.Policy)
	if err != nil {
		return nil, err
	}
	m, err := s.submit(ctx, req.Body.Text, "/v1/cases/", func(hash []byte) spec.Body {
		return &spec.PolicyChange{Over: over, Policy: *p, Text: hash}
	})
	return wire.ChangePolicy201JSONResponse{MadeJSONResponse: m}, err
}

// ShowTaxonomy implements wire.StrictServerInterface.
func (s *service) ShowTaxonomy(ctx context.Context, _ wire.ShowTaxonomyRequestObject) (wire.ShowTaxonomyResponseObject, error) {
	t, err := s.b.Taxonomy(ctx)
	if err != nil {
		return nil, err
	}
	out := wire.ShowTaxonomy200JSONResponse{Version: int64(t.Version), Terms: []wire.Term{}}
	for _, x := range t.Terms {
		out.Terms = append(out.Terms, wire.Term{
			Axis: x.Axis, Code: x.Code, Active: x.Active, NameEn: x.NameEN, NameFr: x.NameFR, TextEn: x.TextEN, TextFr: x.TextFR,
		})
	}
	return out, nil
}

// ChangeTaxonomy implements wire.StrictServerInterface.
func (s *service) ChangeTaxonomy(ctx context.Context, req wire.ChangeTaxonomyRequestObject) (wire.ChangeTaxonomyResponseObject, error) {
	t := spec.Taxonomy{Version: uint64(max(0, req.Body.Version))}
	for _, x := range req.Body.Terms {
		t.Terms = append(t.Terms, spec.Term{
			Axis: x.Axis, Code: x.Code, Active: x.Active, NameEN: x.NameEn, NameFR: x.NameFr, TextEN: x.TextEn, TextFR: x.TextFr,
		})
	}
	slices.SortFunc(t.Terms, func(a, b spec.Term) int { return cmp.Compare(a.Label(), b.Label()) })
	m, err := s.submit(ctx, req.Body.Text, "/v1/cases/", func(hash []byte) spec.Body {
		return &spec.TaxonomyChange{Taxonomy: t, Text: hash}
	})
	return wire.ChangeTaxonomy201JSONResponse{MadeJSONResponse: m}, err
}

// ListAllowed implements wire.StrictServerInterface.
func (s *service) ListAllowed(ctx context.Context, req wire.ListAllowedRequestObject) (wire.ListAllowedResponseObject, error) {
	values, err := s.b.Allowed(ctx)
	if err != nil {
		return nil, err
	}
	out := wire.ListAllowed200JSONResponse{Values: []wire.Allowed{}}
	for _, v := range values {
		w := wire.Allowed{Type: v.Type}
		if req.Params.Reveal {
			w.Value = spec.Signal{Type: v.Type, Value: v.Value}.Text()
		}
		out.Values = append(out.Values, w)
	}
	logReveal(ctx, req.Params.Reveal, "list", spec.Hash{})
	return out, nil
}

// ChangeAllowed implements wire.StrictServerInterface.
func (s *service) ChangeAllowed(ctx context.Context, req wire.ChangeAllowedRequestObject) (wire.ChangeAllowedResponseObject, error) {
	a := spec.AllowChange{Reason: req.Body.Reason}
	var err error
	if a.Add, err = allowed("/add", req.Body.Add); err != nil {
		return nil, err
	}
	if a.Remove, err = allowed("/remove", req.Body.Remove); err != nil {
		return nil, err
	}
	m, err := s.submit(ctx, req.Body.Text, "/v1/cases/", func(hash []byte) spec.Body {
		a.Text = hash
		return &a
	})
	return wire.ChangeAllowed201JSONResponse{MadeJSONResponse: m}, err
}

// allowed reads values and brings them in the order that an operation has them in.
func allowed(pointer string, list []wire.Allowed) ([]spec.Allowed, error) {
	var out []spec.Allowed
	for i, w := range list {
		sig, err := signal(wire.Signal{Type: w.Type, Value: w.Value}, pointer+"/"+strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		out = append(out, spec.Allowed{Type: sig.Type, Value: sig.Value})
	}
	slices.SortFunc(out, compareAllowed)
	return slices.CompactFunc(out, func(a, b spec.Allowed) bool { return compareAllowed(a, b) == 0 }), nil
}

func compareAllowed(a, b spec.Allowed) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), bytes.Compare(a.Value, b.Value))
}
