// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/node/consortia"
	"github.com/tocsin-db/tocsin/spec"
)

// A Following tells of the consortia that a node follows.
type Following interface {
	// Consortia lists them, the node's own first.
	Consortia(ctx context.Context) ([]Consortium, error)
	// FollowConsortium begins with one that was joined, LeaveConsortium ends and deletes
	// it here, SetImports changes its import policy. They fail with UNKNOWN_CONSORTIUM;
	// the last refuses unknown labels with BAD_LABEL.
	FollowConsortium(ctx context.Context, name string) error
	LeaveConsortium(ctx context.Context, name string) error
	SetImports(ctx context.Context, name string, p *consortia.Policy) error
}

// A Consortium is one that a node follows, or takes part in.
type Consortium struct {
	Name         string // at this node
	Origin       string
	Organisation string // as which it is enrolled there, with its role
	Role         string
	Own          bool
	Running      bool
	State        string // of spec/sync.md; sequences, opening or failed
	NotAnswering string // why lookups get no answer from it, or ""
	Imports      *consortia.Policy
	Entries      uint64
	Checks       []Check
	Freshness
}

// A ConsortiumAnswer is on what an answer rests in one consortium.
type ConsortiumAnswer struct {
	Name   string
	Origin string
	Code   spec.Code // why it did not answer, or ""
	Reason string    // the same in words
	Freshness
}

func wireConsortium(c *Consortium) wire.Consortium {
	out := wire.Consortium{
		Name: c.Name, Origin: c.Origin, Organisation: c.Organisation, Role: wire.Role(c.Role), Own: c.Own, Running: c.Running,
		State: c.State, NotAnswering: c.NotAnswering, Entries: int64(c.Entries),
		Size: int64(c.Size), FinalSize: int64(c.Final), AgeMs: c.Age.Milliseconds(), Stale: c.Stale,
		Imports: wire.ImportPolicy{Default: wire.ImportAction(c.Imports.Default)},
	}
	if len(c.Imports.Labels) > 0 {
		out.Imports.Labels = make(map[string]wire.ImportAction, len(c.Imports.Labels))
		for l, a := range c.Imports.Labels {
			out.Imports.Labels[l] = wire.ImportAction(a)
		}
	}
	return out
}

func wireConsortia(list []Consortium) []wire.Consortium {
	out := make([]wire.Consortium, len(list))
	for i := range list {
		out[i] = wireConsortium(&list[i])
	}
	return out
}

func wireConsortiumAnswer(c *ConsortiumAnswer) wire.ConsortiumAnswer {
	return wire.ConsortiumAnswer{
		Name: c.Name, Origin: c.Origin, Size: int64(c.Size), FinalSize: int64(c.Final), AgeMs: c.Age.Milliseconds(), Stale: c.Stale,
		Code: string(c.Code), Reason: c.Reason,
	}
}

// ListConsortia implements wire.StrictServerInterface.
func (s *service) ListConsortia(ctx context.Context, _ wire.ListConsortiaRequestObject) (wire.ListConsortiaResponseObject, error) {
	list, err := s.b.Consortia(ctx)
	if err != nil {
		return nil, err
	}
	return wire.ListConsortia200JSONResponse{Consortia: wireConsortia(list)}, nil
}

// FollowConsortium implements wire.StrictServerInterface.
func (s *service) FollowConsortium(ctx context.Context, req wire.FollowConsortiumRequestObject) (wire.FollowConsortiumResponseObject, error) {
	return wire.FollowConsortium204Response{}, s.b.FollowConsortium(ctx, req.Body.Name)
}

// LeaveConsortium implements wire.StrictServerInterface.
func (s *service) LeaveConsortium(ctx context.Context, req wire.LeaveConsortiumRequestObject) (wire.LeaveConsortiumResponseObject, error) {
	return wire.LeaveConsortium204Response{}, s.b.LeaveConsortium(ctx, req.Name)
}

// SetImports implements wire.StrictServerInterface.
func (s *service) SetImports(ctx context.Context, req wire.SetImportsRequestObject) (wire.SetImportsResponseObject, error) {
	wrong := spec.Errorf(spec.CodeMalformed, "an action is trust, review or ignore")
	if !req.Body.Default.Valid() {
		return nil, wire.At("/default", wrong)
	}
	p := &consortia.Policy{Default: consortia.Action(req.Body.Default)}
	if len(req.Body.Labels) > 0 {
		p.Labels = make(map[string]consortia.Action, len(req.Body.Labels))
	}
	for l, a := range req.Body.Labels {
		if !a.Valid() {
			return nil, wire.At("/labels", wrong)
		}
		p.Labels[l] = consortia.Action(a)
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	return wire.SetImports204Response{}, s.b.SetImports(ctx, req.Name, p)
}

// mountPath begins the paths of one consortium alone.
const mountPath = "/consortia/"

// Mount answers below /consortia/NAME from one consortium's own backend. While b is
// nil, health is answered from checks and everything else refused.
func (s *Server) Mount(name string, b Backend, p Proofs, checks func() []Check) {
	cfg := s.cfg
	cfg.Backend, cfg.Proofs = b, p
	var h http.Handler
	if b == nil {
		o := &opening{checks: checks}
		h = handler(cfg, &service{o}, o.notYet)
	} else {
		h = handler(cfg, &service{b}, nil)
	}
	s.mounted.Store(name, http.StripPrefix(mountPath+name, h))
}

// Unmount undoes Mount.
func (s *Server) Unmount(name string) { s.mounted.Delete(name) }

// serveMounted answers for one consortium alone.
func (s *Server) serveMounted(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, mountPath), "/")
	r.Pattern = mountPath + "{name}/"
	h, ok := s.mounted.Load(name)
	if !ok {
		fail(w, r, consortia.Unknown(fmt.Sprintf("%.64s", name)))
		return
	}
	h.(http.Handler).ServeHTTP(w, r)
}
