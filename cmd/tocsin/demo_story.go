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
const stepTimeout = 30 * time.Second

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
	listed    []byte // the picture that is proposed
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
		{"deciding vote", s.decide},
		{"matchable on every member and the reader", s.everywhere},
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
	for _, m := range rec.Signals {
		sig, err := spec.ParseSignal(m.Type, m.Value)
		if err != nil {
			return "", err
		}
		sig.Quality = m.Quality
		item.Signals, types = append(item.Signals, sig), append(types, m.Type)
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

func (s *story) decide(ctx context.Context) (string, error) {
	m := s.c.Members[1]
	if _, err := m.Vote(ctx, api.Ballot{Case: s.caseID, Choice: spec.Approve}); err != nil {
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
	return fmt.Sprintf("%s approves: accepted with %d of %d votes", m.ID, k.Yes, len(k.Electorate)), nil
}

// everywhere measures from the acknowledged deciding vote.
func (s *story) everywhere(ctx context.Context) (string, error) {
	return s.spread(ctx, 1)
}

// spread waits until every node finds so many matches and tells after how long.
func (s *story) spread(ctx context.Context, want int) (string, error) {
	rec, err := s.hasher.Hash(ctx, bytes.NewReader(s.listed), "")
	if err != nil {
		return "", err
	}
	sig, err := spec.ParseSignal(rec.Signals[0].Type, rec.Signals[0].Value)
	if err != nil {
		return "", err
	}
	begin := time.Now()
	waits := make([]string, len(s.c.All()))
	for i, p := range s.c.All() {
		err := trial.Await(ctx, func() (bool, error) {
			a, err := p.Match(ctx, []spec.Signal{sig})
			return len(a.Matches) == want, err
		})
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.ID, err)
		}
		waits[i] = fmt.Sprintf("%s %.1f ms", p.ID, milliseconds(time.Since(begin)))
	}
	return "after the vote was acknowledged: " + strings.Join(waits, ", "), nil
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
	if _, err := s.c.Members[1].Vote(ctx, api.Ballot{Case: s.disputeID, Choice: spec.Approve}); err != nil {
		return "", err
	}
	return s.spread(ctx, 0)
}

func (s *story) sameRoots(ctx context.Context) (string, error) {
	first, err := s.c.Members[0].Status(ctx)
	if err != nil {
		return "", err
	}
	for _, p := range s.c.All() {
		st, err := p.Status(ctx)
		if err != nil {
			return "", err
		}
		if st.Size != first.Size || st.LiveRoot != first.LiveRoot || st.RulesRoot != first.RulesRoot || p.LogRoot() != s.c.Members[0].LogRoot() {
			return "", fmt.Errorf("%s differs from %s", p.ID, s.c.Members[0].ID)
		}
	}
	return fmt.Sprintf("%d leaves, root %.12s…", first.Size, s.c.Members[0].LogRoot().String()), nil
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
