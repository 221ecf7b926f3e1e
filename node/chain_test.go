// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// awaitReady waits until a node answers.
func awaitReady(t *testing.T, ctx context.Context, p *trial.Participant) {
	t.Helper()
	err := trial.Await(ctx, func() (bool, error) {
		return !slices.ContainsFunc(p.Ready(ctx), func(c api.Check) bool { return !c.OK }), nil
	})
	if err != nil {
		t.Fatalf("%s never was ready: %+v", p.ID, p.Ready(ctx))
	}
}

// keeping waits until nodes keep a snapshot: it is made behind the commits that go on.
func keeping(t *testing.T, ctx context.Context, nodes ...*trial.Participant) {
	t.Helper()
	for _, p := range nodes {
		if err := trial.Await(ctx, func() (bool, error) { return p.Keeps(), nil }); err != nil {
			t.Fatalf("%s keeps no snapshot: %v", p.ID, err)
		}
	}
}

// behind enrols a reader that knows the address of one other reader and of nobody
// else, and starts its node.
func behind(t *testing.T, ctx context.Context, c *trial.Consortium, id string, up *trial.Participant) *trial.Participant {
	t.Helper()
	return behindIn(t, ctx, c, id, up, spec.TierFull, func(*node.Config) {})
}

// behindIn is behind for a reader of a tier, configured further.
func behindIn(t *testing.T, ctx context.Context, c *trial.Consortium, id string, up *trial.Participant, tier string, change func(*node.Config)) *trial.Participant {
	t.Helper()
	p, err := c.EnrolIn(ctx, id, tier, false)
	if err != nil {
		t.Fatal(err)
	}
	g, err := identity.LoadGenesis(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	g.Addresses = nil
	if err := identity.SaveGenesis(p.Dir, g); err != nil {
		t.Fatal(err)
	}
	p.Configure(func(cfg *node.Config) {
		cfg.Upstreams = []string{up.Addresses()[0] + "/p2p/" + string(up.PeerOf(up.ID))}
		change(cfg)
	})
	if err := c.Start(ctx, p); err != nil {
		t.Fatal(err)
	}
	return p
}

// A reader serves another that never talks to a member: a snapshot to begin with,
// what is pushed, a retraction with the opening that it needs. When the second is
// expelled, the first cuts it off.
func TestAReaderIsTheSourceOfAnother(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3, Snapshots: 16})
	for i := range byte(10) {
		list(t, c, sha(i))
	}
	pair, err := c.Members[0].Propose(ctx, api.Proposal{
		Items: []api.ProposalItem{{Labels: []string{"isil"}, Signals: []spec.Signal{sha(100), sha(101)}}}, Basis: "designated-entity",
	})
	if err != nil {
		t.Fatal(err)
	}
	approve(t, c.Members[1], pair)
	for i := range byte(8) {
		list(t, c, sha(50+i))
	}
	keeping(t, ctx, c.Members...)
	first, err := c.Enrol(ctx, "tango", true)
	if err == nil {
		err = c.Start(ctx, first)
	}
	if err != nil {
		t.Fatal(err)
	}
	awaitReady(t, ctx, first)
	awaitMatches(t, ctx, first, sha(57), 1)
	for i := range byte(6) { // a snapshot size that the first reader passes by itself
		list(t, c, sha(70+i))
	}
	awaitMatches(t, ctx, first, sha(75), 1)
	keeping(t, ctx, first)
	second := behind(t, ctx, c, "uniform", first)
	awaitReady(t, ctx, second)
	awaitMatches(t, ctx, second, sha(75), 1)
	if second.LogFirst() == 0 {
		t.Error("the second reader replayed the log: it did not bootstrap from the first")
	}
	var st api.Status
	err = trial.Await(ctx, func() (bool, error) {
		st, err = first.Status(ctx)
		return st.Serving.Chunks > 0 && st.Serving.Subscribers == 1, err
	})
	if err != nil {
		t.Errorf("the first reader serves %+v, %v", st.Serving, err)
	}
	list(t, c, sha(200))
	awaitMatches(t, ctx, second, sha(200), 1)

	uphold := func(claim api.Claim) {
		t.Helper()
		dispute, err := c.Members[2].Dispute(ctx, claim)
		if err != nil {
			t.Fatal(err)
		}
		approve(t, c.Members[1], dispute)
	}
	uphold(api.Claim{Entry: matches(t, c.Members[0], sha(3))[0].Entry, Reason: "lawful-content"})
	awaitMatches(t, ctx, second, sha(3), 0)
	uphold(api.Claim{Entry: spec.EntryID(pair, 0), Reason: "lawful-content", Signals: []uint64{1}})
	awaitMatches(t, ctx, second, sha(101), 0)
	awaitMatches(t, ctx, second, sha(100), 1)
	err = trial.Await(ctx, func() (bool, error) {
		st, err = second.Status(ctx)
		return st.Peers == 1 && len(st.Sync.Upstreams) == 1 && st.Sync.Upstreams[0].Organisation == "tango", err
	})
	if err != nil {
		t.Errorf("the second reader has %d peers and follows %+v, %v", st.Peers, st.Sync, err)
	}

	expel(t, ctx, c, "uniform")
	forgotten(t, ctx, "uniform", append(c.Members, first)...)
	err = trial.Await(ctx, func() (bool, error) {
		st, err := second.Status(ctx)
		return st.Peers == 0 && len(st.Sync.Upstreams) == 0, err
	})
	if err != nil {
		t.Fatal("the first reader keeps the second, that was expelled")
	}
	list(t, c, sha(201))
	awaitMatches(t, ctx, first, sha(201), 1)
	if got := matches(t, second, sha(201)); len(got) != 0 {
		t.Error("an expelled reader got what was decided later, from another reader")
	}
}

// expel has the consortium end an organisation's part.
func expel(t *testing.T, ctx context.Context, c *trial.Consortium, org string) {
	t.Helper()
	id, err := c.Members[0].Submit(ctx, "", func([]byte) spec.Body { return &spec.Membership{Action: spec.ActionExpel, Org: org} })
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range c.Members[1:] {
		if _, err := m.Vote(ctx, api.Ballot{Case: id, Choice: spec.Approve}); err != nil && spec.CodeOf(err) != spec.CodeCaseClosed {
			t.Fatal(err)
		}
	}
}

// another is a source whose final checkpoint is of another history.
type another struct {
	size uint64
	note []byte
}

func (a another) Final() (uint64, []byte)                  { return a.size, a.note }
func (a another) Prove(_, _ uint64) ([]spec.Hash, error)   { return nil, nil }
func (a another) Wait(ctx context.Context, _ uint64) error { <-ctx.Done(); return ctx.Err() }
func (a another) Read(context.Context, string, uint64, int) ([]federation.Group, error) {
	return nil, p2p.Gone(a.size)
}

// forge makes a final checkpoint of another history at the size of p's log: enough
// organisations sign it.
func forge(t *testing.T, p *trial.Participant, liars ...*trial.Participant) another {
	t.Helper()
	panel := panelOf(t, p)
	s := tlog.Signed{Checkpoint: tlog.Checkpoint{Origin: panel.Origin, Size: p.LogSize(), Root: spec.LeafHash([]byte("another history"))}}
	for _, l := range liars {
		id, err := identity.Load(l.Dir)
		if err != nil {
			t.Fatal(err)
		}
		s.Cosignatures = append(s.Cosignatures, tlog.Cosign(s.Checkpoint, l.ID, id.Cosign, uint64(time.Now().Unix())))
	}
	note, err := panel.Note(&s)
	if err != nil {
		t.Fatal(err)
	}
	return another{s.Size, note}
}

// A member of a consortium serves a reader another history, which two of three
// signed: the reader halts, says so wherever one looks, also after a restart, answers
// on, flagged, and gives the others a proof that needs nothing but the genesis file.
func TestAForkedUpstreamHaltsAReader(t *testing.T) {
	ctx, c := found(t, 3)
	reader, err := c.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	list(t, c, sha(1))
	awaitMatches(t, ctx, reader, sha(1), 1)
	alpha, bravo, charlie := c.Members[0], c.Members[1], c.Members[2]
	fork := forge(t, reader, alpha, charlie)
	id, err := identity.Load(charlie.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := charlie.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	h, err := p2p.NewHost(p2p.Config{Key: id.Libp2p, Listen: id.Addresses, Directory: everyone{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	federation.Serve(h, fork, federation.ServeOptions{Roles: []string{"member"}, Logger: slog.New(slog.DiscardHandler)})
	halted := func() (bool, error) {
		st, err := reader.Status(ctx)
		return st.Sync != nil && st.Sync.State == string(federation.Halt), err
	}
	if err := trial.Await(ctx, halted); err != nil {
		t.Fatal("the reader goes on")
	}
	tell := func(when string) {
		t.Helper()
		ready := reader.Ready(ctx)
		check := ready[slices.IndexFunc(ready, func(c api.Check) bool { return c.Name == "history" })]
		if check.OK || !strings.Contains(check.Reason, "alpha, charlie cosigned both") && !strings.Contains(check.Reason, "alpha cosigned both") && !strings.Contains(check.Reason, "charlie cosigned both") {
			t.Errorf("%s: readiness says %+v", when, check)
		}
		rec := httptest.NewRecorder()
		reader.MetricsHandler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
		if b, _ := io.ReadAll(rec.Body); !strings.Contains(string(b), `tocsin_sync_state{consortium="trial",state="HALT"} 1`) || !strings.Contains(string(b), `tocsin_stale{consortium="trial"} 1`) ||
			!strings.Contains(string(b), `tocsin_evidence{consortium="trial"} 1`) && when != "at once" {
			t.Errorf("%s: metrics:\n%s", when, b)
		}
		if a, err := reader.Match(ctx, []spec.Signal{sha(1)}); err != nil || len(a.Matches) != 1 || !a.Stale {
			t.Errorf("%s: it answers %+v, %v", when, a, err)
		}
	}
	tell("at once")
	for _, p := range []*trial.Participant{reader, alpha, bravo} {
		if err := trial.Await(ctx, func() (bool, error) { return proved(p), nil }); err != nil {
			t.Errorf("%s has no proof", p.ID)
		}
	}
	if err := reader.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(ctx, reader); err != nil {
		t.Fatal(err)
	}
	if err := trial.Await(ctx, halted); err != nil {
		t.Fatal("the reader goes on after a restart")
	}
	tell("after a restart")
	list(t, c, sha(2))
	awaitMatches(t, ctx, bravo, sha(2), 1)
	if len(matches(t, reader, sha(2))) != 0 {
		t.Error("a halted reader takes what is decided later")
	}
	if err := c.Start(ctx, charlie); err != nil {
		t.Fatal(err)
	}
}

// proved reports whether a participant keeps evidence that stands by the genesis
// file alone.
func proved(p *trial.Participant) bool {
	files, _ := filepath.Glob(filepath.Join(p.Dir, "evidence", "*.cbor"))
	g, err := identity.LoadGenesis(p.Dir)
	if err != nil {
		return false
	}
	chain, err := tlog.NewChain(g.Genesis)
	if err != nil {
		return false
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		e, err := cosign.ParseEvidence(b)
		if err != nil {
			continue
		}
		if accused, _, err := e.Verify(chain); err == nil && slices.Contains(accused, "charlie") {
			return true
		}
	}
	return false
}
