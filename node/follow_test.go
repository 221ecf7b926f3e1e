// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
)

// A reader that lost all upstreams goes stale, says so, and answers on, flagged; one
// that is set to fail closed refuses with a code, and is not ready.
func TestAReaderAloneAnswersFlaggedOrFailsClosed(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3, Receipts: time.Hour})
	reader, err := c.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	list(t, c, sha(1))
	awaitMatches(t, ctx, reader, sha(1), 1)
	size := c.Members[1].LogSize() // nothing comes after it
	var st api.Status
	err = trial.Await(ctx, func() (bool, error) {
		st, err = reader.Status(ctx)
		return st.Size >= size && st.Sync != nil && st.Sync.State == string(federation.Live) && len(st.Sync.Upstreams) > 0, err
	})
	if err != nil {
		t.Fatalf("the status of a reader: %+v, %v", st.Sync, err)
	}
	var metrics string
	err = trial.Await(ctx, func() (bool, error) {
		rec := httptest.NewRecorder()
		reader.MetricsHandler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
		metrics = rec.Body.String()
		return strings.Contains(metrics, `tocsin_sync_state{consortium="trial",state="LIVE"} 1`) && strings.Contains(metrics, `tocsin_stale{consortium="trial"} 0`), nil
	})
	if err != nil {
		t.Fatalf("metrics:\n%s", metrics)
	}
	if err := reader.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.Members {
		if err := p.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
	later := func() time.Time { return time.Now().Add(10 * time.Minute) }
	for _, closed := range []time.Duration{0, 5 * time.Minute} {
		n, err := node.Start(ctx, node.Config{Dir: reader.Dir, Now: later, MaxAge: closed})
		if err != nil {
			t.Fatal(err)
		}
		err = trial.Await(ctx, func() (bool, error) {
			st, err := n.Status(ctx)
			return st.Sync != nil && st.Sync.State == string(federation.Stale), err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, check := range n.Ready(ctx) {
			if refused := closed > 0 && check.Name == "fresh"; check.OK == refused {
				t.Errorf("failing closed after %v: %+v", closed, check)
			}
			if check.Name == "sync" && check.Reason != "STALE, 0 behind" {
				t.Errorf("readiness does not say how it follows: %+v", check)
			}
		}
		a, err := n.Match(ctx, []spec.Signal{sha(1)})
		switch {
		case closed == 0 && (err != nil || !a.Stale || len(a.Matches) != 1 || a.Age < 9*time.Minute):
			t.Errorf("alone: %+v, %v", a, err)
		case closed > 0 && spec.CodeOf(err) != spec.CodeStale:
			t.Errorf("alone and failing closed: %+v, %v", a, err)
		}
		if err := n.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// An expelled reader is cut off by the members within the checkpoint that expels
// it, and gets nothing that is decided later.
func TestAnExpelledReaderIsCutOff(t *testing.T) {
	ctx, c := found(t, 3)
	reader, err := c.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	list(t, c, sha(1))
	awaitMatches(t, ctx, reader, sha(1), 1)
	id, err := c.Members[0].Submit(ctx, "", func([]byte) spec.Body { return &spec.Membership{Action: spec.ActionExpel, Org: "tango"} })
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range c.Members[1:] {
		if _, err := m.Vote(ctx, api.Ballot{Case: id, Choice: spec.Approve}); err != nil && spec.CodeOf(err) != spec.CodeCaseClosed {
			t.Fatal(err)
		}
	}
	forgotten(t, ctx, "tango", c.Members...)
	err = trial.Await(ctx, func() (bool, error) {
		st, err := reader.Status(ctx)
		return st.Peers == 0 && len(st.Sync.Upstreams) == 0, err
	})
	if err != nil {
		t.Fatal("an expelled reader keeps its connections")
	}
	list(t, c, sha(2))
	awaitMatches(t, ctx, c.Members[2], sha(2), 1)
	if got := matches(t, reader, sha(2)); len(got) != 0 {
		t.Fatal("an expelled reader got what was decided later")
	}
	if len(matches(t, reader, sha(1))) != 1 {
		t.Fatal("it does not answer from what it had")
	}
	awaitRefused(t, ctx, reader, 3)
	if err := reader.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(ctx, reader); err != nil {
		t.Fatal(err)
	}
	awaitRefused(t, ctx, reader, 3)
}

// awaitRefused waits until a node tells in every place that this many upstreams have it
// enrolled no more.
func awaitRefused(t *testing.T, ctx context.Context, p *trial.Participant, upstreams int) {
	t.Helper()
	err := trial.Await(ctx, func() (bool, error) {
		st, err := p.Status(ctx)
		if err != nil || len(st.Sync.Refusals) < upstreams {
			return false, err
		}
		for _, r := range st.Sync.Refusals {
			if r.Code != spec.CodeDenied || r.Organisation == "" || r.Since.IsZero() || !strings.Contains(r.Message, "not enrolled any more") {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		t.Fatalf("who is enrolled no more is not told so: %v", err)
	}
	if st, err := p.Status(ctx); err != nil || st.Sync.LastError == "" || st.Sync.FailedAt.IsZero() {
		t.Errorf("no last error: %+v, %v", st.Sync, err)
	}
	said := ""
	for _, check := range p.Ready(ctx) {
		said += check.Reason
	}
	if strings.Count(said, "DENIED") != upstreams {
		t.Errorf("readiness says %q", said)
	}
	w := httptest.NewRecorder()
	p.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if n := strings.Count(w.Body.String(), "\ntocsin_sync_refused_timestamp_seconds{code=\"DENIED\""); n != upstreams {
		t.Errorf("metrics name %d refusals", n)
	}
}

// forgotten waits until nodes let an organisation in no more.
func forgotten(t *testing.T, ctx context.Context, org string, nodes ...*trial.Participant) {
	t.Helper()
	for _, p := range nodes {
		if err := trial.Await(ctx, func() (bool, error) { return p.PeerOf(org) == "", nil }); err != nil {
			t.Fatalf("%s lets %s in", p.ID, org)
		}
	}
}

// Settle leaves a directory from which the node starts with all that it fetched.
func TestSettle(t *testing.T) {
	ctx, c := found(t, 3)
	reader, err := c.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	list(t, c, sha(1))
	awaitMatches(t, ctx, reader, sha(1), 1)
	if err := reader.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fsm", "final", "mark", "caught-up"} { // as before the first start
		if err := os.RemoveAll(filepath.Join(reader.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	done, err := node.Settle(ctx, node.Config{Dir: reader.Dir, VerifyFull: true}, func(s string) { told = append(told, s) })
	if err != nil || done.Entries != 1 || done.Age > time.Minute || len(told) == 0 {
		t.Fatalf("%+v, told %q, %v", done, told, err)
	}
}
