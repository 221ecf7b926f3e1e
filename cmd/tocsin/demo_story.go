// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/media"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// stepTimeout bounds each step of the story.
const stepTimeout = 2 * time.Minute

// A demoStep is one thing that the demonstration did and whether it held.
type demoStep struct {
	Name   string  `json:"name"`
	OK     bool    `json:"ok"`
	MS     float64 `json:"ms"`
	Detail string  `json:"detail"`
}

// A story is the demonstration while it runs.
type story struct {
	options   trial.Options
	tell      func(demoStep)
	hasher    *media.Hasher
	c         *trial.Consortium
	listed    []byte        // the picture that is proposed
	exact     []spec.Signal // its SHA-256
	caseID    spec.Hash
	entry     spec.Hash
	disputeID spec.Hash
}

// run goes through the steps and stops at the first that does not hold.
func (s *story) run(ctx context.Context) bool {
	for _, step := range []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"consortium formed", s.form},
		{"reader enrolled", s.enrol},
		{"picture proposed", s.propose},
		{"not matchable before the deciding vote", s.notYet},
		{"approved: matchable on every node", s.decide},
		{"a re-compressed, resized copy matches", s.copyMatches},
		{"another picture does not match", s.otherDoesNot},
		{"listing disputed", s.dispute},
		{"retracted: matchable nowhere", s.retract},
		{"all nodes hold the same state", s.sameRoots},
	} {
		if !s.step(ctx, step.name, step.do) {
			return false
		}
	}
	return true
}

func (s *story) step(ctx context.Context, name string, do func(context.Context) (string, error)) bool {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	begin := time.Now()
	detail, err := do(ctx)
	if err != nil {
		detail = err.Error()
	}
	s.tell(demoStep{Name: name, OK: err == nil, MS: milliseconds(time.Since(begin)), Detail: detail})
	return err == nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (s *story) form(ctx context.Context) (string, error) {
	var err error
	if s.listed, err = compressed(picture(1), 480, 480, 92); err != nil {
		return "", err
	}
	if s.c, err = trial.Found(ctx, s.options); err != nil {
		return "", err
	}
	st, err := s.c.Members[0].Status(ctx)
	return fmt.Sprintf("%s, founded by %d members, %s leads", st.Origin, len(s.c.Members), st.Leader), err
}

func (s *story) enrol(ctx context.Context) (string, error) {
	r, err := s.c.AddReader(ctx, "reader")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s joined with one invitation line and a vote, and has %d leaves of the log", r.ID, r.LogSize()), nil
}

func (s *story) propose(ctx context.Context) (string, error) {
	rec, err := s.hasher.Hash(ctx, bytes.NewReader(s.listed), "")
	if err != nil {
		return "", err
	}
	item := api.ProposalItem{Labels: []string{"demonstration"}}
	var types []string
	s.exact = nil
	for _, m := range rec.Signals {
		sig, err := spec.ParseSignal(m.Type, m.Value)
		if err != nil {
			return "", err
		}
		sig.Quality = m.Quality
		item.Signals, types = append(item.Signals, sig), append(types, m.Type)
		if sig.Type == "sha256" {
			s.exact = []spec.Signal{sig}
		}
	}
	s.caseID, err = s.c.Members[0].Propose(ctx, api.Proposal{Items: []api.ProposalItem{item}, Basis: "demonstration"})
	return fmt.Sprintf("%s proposes %s of a generated picture: case %.12s…", s.c.Members[0].ID, strings.Join(types, ", "), s.caseID.String()), err
}

func (s *story) notYet(ctx context.Context) (string, error) {
	for _, p := range s.c.All() {
		if n, err := s.found(ctx, p, s.listed); err != nil || n != 0 {
			return "", errors.Join(err, fmt.Errorf("%s finds %d matches", p.ID, n))
		}
	}
	return "one approval of the two that it takes", nil
}

// decide casts the vote that decides and measures how long each node takes to
// match, from the moment at which the vote is cast.
func (s *story) decide(ctx context.Context) (string, error) {
	m := s.c.Members[1]
	detail, err := s.vote(ctx, m, s.caseID, 1)
	if err != nil {
		return "", err
	}
	k, err := m.Case(ctx, s.caseID, false)
	if err != nil {
		return "", err
	}
	if k.State != spec.OutcomeName(spec.OutcomeAccepted) {
		return "", fmt.Errorf("the case is %s", k.State)
	}
	s.entry = k.Content[0].Entry
	return fmt.Sprintf("%s approves, %d of %d votes; %s", m.ID, k.Yes, len(k.Electorate), detail), nil
}

// vote casts an approval and waits until every node finds so many matches for the
// listed picture, which it tells in milliseconds since the vote was cast.
func (s *story) vote(ctx context.Context, m *trial.Participant, id spec.Hash, want int) (string, error) {
	all := s.c.All()
	found := make([]time.Time, len(all))
	errs := make(chan error, len(all))
	for i, p := range all {
		go func() {
			errs <- trial.Await(ctx, func() (bool, error) {
				a, err := p.Match(ctx, s.exact)
				found[i] = time.Now()
				return len(a.Matches) == want, err
			})
		}()
	}
	begin := time.Now()
	_, err := m.Vote(ctx, api.Ballot{Case: id, Choice: spec.Approve})
	acknowledged := time.Now()
	for range all {
		err = errors.Join(err, <-errs)
	}
	detail := fmt.Sprintf("acknowledged in %.1f ms", milliseconds(acknowledged.Sub(begin)))
	for i, p := range all {
		detail += fmt.Sprintf(", %s %.1f", p.ID, milliseconds(found[i].Sub(begin)))
	}
	return detail, err
}

func (s *story) copyMatches(ctx context.Context) (string, error) {
	small, err := compressed(picture(1), 333, 301, 40)
	if err != nil {
		return "", err
	}
	distance := -1
	for _, p := range s.c.All() {
		a, err := p.MatchFile(ctx, bytes.NewReader(small), "")
		if err != nil {
			return "", err
		}
		if len(a.Matches) != 1 || a.Matches[0].Entry != s.entry {
			return "", fmt.Errorf("%s finds %d matches", p.ID, len(a.Matches))
		}
		distance = a.Matches[0].Distance
	}
	return fmt.Sprintf("333×301 at JPEG quality 40: PDQ distance %d, threshold 31", distance), nil
}

func (s *story) otherDoesNot(ctx context.Context) (string, error) {
	other, err := compressed(picture(2), 480, 480, 92)
	if err != nil {
		return "", err
	}
	for _, p := range s.c.All() {
		if n, err := s.found(ctx, p, other); err != nil || n != 0 {
			return "", errors.Join(err, fmt.Errorf("%s finds %d matches", p.ID, n))
		}
	}
	return "asked on every node", nil
}

func (s *story) dispute(ctx context.Context) (string, error) {
	m := s.c.Members[2]
	var err error
	if s.disputeID, err = m.Dispute(ctx, api.Claim{Entry: s.entry, Reason: "lawful-content"}); err != nil {
		return "", err
	}
	e, err := m.Entry(ctx, s.entry, false)
	return fmt.Sprintf("%s disputes it; its state is %s, and %s, who proposed it, does not rule", m.ID, e.State, e.Organisation), err
}

func (s *story) retract(ctx context.Context) (string, error) {
	detail, err := s.vote(ctx, s.c.Members[1], s.disputeID, 0)
	return s.c.Members[1].ID + " upholds; " + detail, err
}

func (s *story) sameRoots(ctx context.Context) (string, error) {
	var size uint64
	var root spec.Hash
	differs := ""
	err := trial.Await(ctx, func() (bool, error) { // a tick may be on its way to the others
		size, root, differs = s.c.Members[0].LogSize(), s.c.Members[0].LogRoot(), ""
		for _, p := range s.c.All() {
			if p.LogSize() != size || p.LogRoot() != root {
				differs = p.ID
			}
		}
		return differs == "", nil
	})
	if err != nil {
		return "", fmt.Errorf("%s differs from %s: %w", differs, s.c.Members[0].ID, err)
	}
	return fmt.Sprintf("%d leaves, root %.12s…", size, root.String()), nil
}

// found counts what a participant's own node finds for a file.
func (s *story) found(ctx context.Context, p *trial.Participant, file []byte) (int, error) {
	a, err := p.MatchFile(ctx, bytes.NewReader(file), "")
	return len(a.Matches), err
}

// stay lists one picture for good, so that there is something to look up, and
// returns the path of the file.
func (s *story) stay(ctx context.Context) (string, error) {
	var err error
	if s.listed, err = compressed(picture(3), 480, 480, 92); err != nil {
		return "", err
	}
	if _, err := s.propose(ctx); err != nil {
		return "", err
	}
	if _, err := s.decide(ctx); err != nil {
		return "", err
	}
	path := filepath.Join(s.options.Dir, "listed.jpg")
	return path, os.WriteFile(path, s.listed, 0o600)
}
