// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// A member whose database came from another answers nothing from it, started again
// or not, even if that import did not end, until a final checkpoint covers it.
func TestAnImportedDatabaseIsNotServedBeforeItIsFinal(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3, HTTP: true})
	delta, err := c.AddMember(ctx, "delta")
	if err != nil {
		t.Fatal(err)
	}
	ready := func(p *trial.Participant) bool {
		for _, check := range p.Ready(ctx) {
			if !check.OK {
				return false
			}
		}
		return true
	}
	if err := trial.Await(ctx, func() (bool, error) { // it answers, and fetched what sequencers hold
		select {
		case <-delta.Done():
			return ready(delta), nil
		default:
			return false, nil
		}
	}); err != nil {
		t.Fatal(err)
	}
	stop := func(p *trial.Participant) {
		t.Helper()
		if err := p.Node.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
	start := func(p *trial.Participant) {
		t.Helper()
		if err := c.Start(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	stop(delta)
	id := list(t, c, sha(2)) // past what delta knows to be final
	if _, err := c.Members[2].Vote(ctx, api.Ballot{Case: id, Choice: spec.Approve}); err != nil {
		t.Fatal(err)
	}
	if err := c.Members[0].HandSeed(delta.Dir); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.Members[:3] {
		stop(p)
	}
	start(delta)
	unanswered(t, delta)
	for _, noted := range []string{"", "18446744073709551615"} {
		stop(delta)
		if noted != "" {
			if err := os.WriteFile(filepath.Join(delta.Dir, "imported"), []byte(noted), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		start(delta)
		unanswered(t, delta)
	}
	for _, p := range c.Members[:3] {
		start(p)
	}
	if err := trial.Await(ctx, func() (bool, error) { return ready(delta), nil }); err != nil {
		t.Fatalf("with the others it is not ready: %+v", delta.Ready(t.Context()))
	}
	awaitMatches(t, ctx, delta, sha(2), 1)
	if status, _ := readyz(t, delta); status != http.StatusOK {
		t.Errorf("covered, it is not ready: %d", status)
	}
	if s, err := delta.Status(ctx); err != nil || s.NotAnswering != "" || s.NotCosigning != "" {
		t.Errorf("covered, its status: %+v, %v", s, err)
	}
}

// unanswered checks that a node answers no lookup for want of a final checkpoint, and
// says so.
func unanswered(t *testing.T, p *trial.Participant) {
	t.Helper()
	const why = "no final checkpoint covers it yet"
	if a, err := p.Match(t.Context(), []spec.Signal{sha(2)}); spec.CodeOf(err) != spec.CodeNotReady || !strings.Contains(err.Error(), why) || len(a.Matches) > 0 {
		t.Errorf("it answers a lookup: %+v, %v", a, err)
	}
	var rows strings.Builder
	if err := p.MatchRows(t.Context(), strings.NewReader(strings.Repeat("x", 32)), &rows, func(api.Freshness) {}); spec.CodeOf(err) != spec.CodeNotReady || rows.Len() > 0 {
		t.Errorf("it answers rows: %q, %v", rows.String(), err)
	}
	resp, err := http.Post("http://"+p.HTTP+"/v1/match", "application/json", strings.NewReader(`{"signals":[{"type":"sha256","value":"`+strings.Repeat("02", 32)+`"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var problem wire.Problem
	if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil || resp.StatusCode != http.StatusServiceUnavailable || problem.Code != string(spec.CodeNotReady) {
		t.Errorf("over HTTP: %d, %+v, %v", resp.StatusCode, problem, err)
	}
	status, h := readyz(t, p)
	var failing []string
	for _, c := range h.Checks {
		if !c.Ok {
			failing = append(failing, c.Name+": "+c.Reason)
		}
	}
	if status != http.StatusServiceUnavailable || len(failing) != 1 || !strings.HasPrefix(failing[0], "final: ") || !strings.Contains(failing[0], why) {
		t.Errorf("readyz says %d and %q", status, failing)
	}
	if s, err := p.Status(t.Context()); err != nil || !strings.Contains(s.NotAnswering, why) || !strings.Contains(s.NotCosigning, why) {
		t.Errorf("the status says %q and %q, %v", s.NotAnswering, s.NotCosigning, err)
	}
}

func readyz(t *testing.T, p *trial.Participant) (int, wire.Health) {
	t.Helper()
	resp, err := http.Get("http://" + p.HTTP + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var h wire.Health
	if err := json.NewDecoder(resp.Body).Decode(&h); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, h
}
