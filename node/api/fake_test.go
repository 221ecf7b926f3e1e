// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/consortia"
	"github.com/tocsin-db/tocsin/spec"
)

// fake is a backend that lists one sha256 and remembers what it was asked.
type fake struct {
	mu     sync.Mutex
	calls  []string
	listed spec.Hash // value of the listed signal
	last   any
	err    error
	boom   bool
	began  chan struct{} // unless nil, closed when a file is read
	checks []Check
	// incomplete says of every answer that a consortium is missing from it.
	incomplete bool

	consortia []Consortium
}

func (f *fake) called(name string, arg any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.last = append(f.calls, name), arg
	if f.boom {
		panic("boom")
	}
	return f.err
}

func (f *fake) log() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.calls...)
}

func (f *fake) Match(_ context.Context, signals []spec.Signal) (MatchAnswer, error) {
	a := MatchAnswer{Signals: signals, Freshness: Freshness{Size: 7, Final: 3, Age: 1500 * time.Millisecond, Incomplete: f.incomplete}}
	for _, s := range signals {
		if s.Type == "sha256" && spec.Hash(s.Value) == f.listed {
			a.Matches = append(a.Matches, Match{Entry: spec.Hash{1}, Type: "sha256", State: "active", LogIndex: 2, Final: true}, Match{Entry: spec.Hash{2}, Type: "sha256", State: "active", LogIndex: 3})
		}
	}
	return a, f.called("Match", signals)
}

func (f *fake) MatchAll(ctx context.Context, queries [][]spec.Signal) (answers []MatchAnswer, err error) {
	for _, signals := range queries {
		a, err := f.Match(ctx, signals)
		if err != nil {
			return nil, err
		}
		answers = append(answers, a)
	}
	return answers, nil
}

// MatchRows answers row by row, as they come.
func (f *fake) MatchRows(_ context.Context, in io.Reader, out io.Writer, about func(Freshness)) error {
	if err := f.called("MatchRows", nil); err != nil {
		return err
	}
	about(Freshness{Size: 7, Age: 1500 * time.Millisecond, Final: 5})
	for {
		var row spec.Hash
		n, err := io.ReadFull(in, row[:])
		switch {
		case err == io.EOF:
			return nil
		case n > 0 && err == io.ErrUnexpectedEOF:
			return spec.Errorf(spec.CodeMalformed, "a torn row")
		case err != nil:
			return err
		}
		listed := byte(0)
		if row == f.listed {
			listed = 1
		}
		if _, err := out.Write([]byte{listed}); err != nil {
			return err
		}
	}
}

// MatchFile knows pictures by their first byte alone.
func (f *fake) MatchFile(ctx context.Context, r io.Reader, name string) (MatchAnswer, error) {
	if f.began != nil {
		close(f.began)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return MatchAnswer{}, fmt.Errorf("reading the file: %w", err)
	}
	sum := sha256.Sum256(data)
	a, _ := f.Match(ctx, []spec.Signal{{Type: "sha256", Value: sum[:]}})
	if bytes.HasPrefix(data, []byte("P")) {
		a.Signals = append(a.Signals, spec.Signal{Type: "pdq", Value: sum[:], Quality: 0})
	} else {
		a.Unsupported = []Unsupported{{"pdq", spec.CodeUnsupported}}
	}
	return a, f.called("MatchFile", name)
}

func (f *fake) Propose(_ context.Context, p Proposal) (spec.Hash, error) {
	return spec.Hash{2}, f.called("Propose", p)
}

func (f *fake) Vote(_ context.Context, b Ballot) (Cast, error) {
	return Cast{ID: spec.Hash{3}, Blast: []spec.Blast{{Item: 1, Sightings: 2, Lawful: 3}}}, f.called("Vote", b)
}

func (f *fake) Dispute(_ context.Context, c Claim) (spec.Hash, error) {
	return spec.Hash{4}, f.called("Dispute", c)
}

func (f *fake) Submit(_ context.Context, text string, body func([]byte) spec.Body) (spec.Hash, error) {
	var hash []byte
	if text != "" {
		hash = make([]byte, 32)
	}
	b := body(hash)
	if err := b.Check(); err != nil {
		return spec.Hash{}, err
	}
	return spec.Hash{6}, f.called("Submit", b)
}

func (f *fake) Policy(context.Context) (*spec.Policy, error) {
	p := spec.DefaultPolicy()
	return &p, f.called("Policy", nil)
}

func (f *fake) Taxonomy(context.Context) (*spec.Taxonomy, error) {
	t := spec.DefaultTaxonomy()
	return &t, f.called("Taxonomy", nil)
}

func (f *fake) Allowed(context.Context) ([]spec.Allowed, error) {
	return []spec.Allowed{{Type: "sha256", Value: f.listed[:]}}, f.called("Allowed", nil)
}

func (f *fake) Propagation(context.Context) (*Propagation, error) {
	return &Propagation{Size: 7, Members: []MemberPropagation{{Organisation: "alpha", Times: TimesOf([]int64{3, 1, 2}), Behind: 1}}}, f.called("Propagation", nil)
}

func (f *fake) Compliance(context.Context) (*Compliance, error) {
	return &Compliance{Organisations: []OrganisationClocks{{Organisation: "alpha", Role: "member"}}}, f.called("Compliance", nil)
}

func (f *fake) VerifyStore(context.Context) (*StoreReport, error) {
	return &StoreReport{Size: 7, Live: 1, Bad: []BadBucket{{"live signals", 5, 1 << 18, "broken"}}}, f.called("VerifyStore", nil)
}

func (f *fake) RepairStore(context.Context) (*RepairReport, error) {
	return &RepairReport{
		Peers:   []ComparedPeer{{"bravo", 7, 3, "agrees"}},
		Buckets: []RepairedBucket{{"rules", 5, 1 << 18, true, "bravo", ""}},
	}, f.called("RepairStore", nil)
}

func (f *fake) Invite(_ context.Context, role, tier string, ttl time.Duration) (Invitation, error) {
	return Invitation{Line: "tocsin1:x", Role: role, Tier: tier, Expires: time.Unix(1, 0)}, f.called("Invite", ttl)
}

func (f *fake) Cases(_ context.Context, c CaseFilter, p Page) ([]CaseSummary, string, error) {
	next := "more"
	if p.Cursor != "" {
		next = ""
	}
	return []CaseSummary{{ID: spec.Hash{5}, Kind: CaseAddition, State: "open", Organisation: "alpha"}}, next, f.called("Cases", c)
}

func (f *fake) Case(_ context.Context, id spec.Hash, reveal bool) (Case, error) {
	c := Case{CaseSummary: CaseSummary{ID: id, Kind: CaseAddition, State: "accepted", Decided: time.Unix(9, 0)},
		Votes:   []Vote{{Organisation: "alpha", Choice: spec.Approve, Except: []uint64{1}}},
		Content: []Item{{Labels: []string{"x"}, Counts: []spec.Count{{Type: "sha256", Count: 1}}}}}
	if reveal {
		c.Content[0].Values = []spec.Signal{{Type: "sha256", Value: f.listed[:]}}
	}
	return c, f.called("Case", reveal)
}

func (f *fake) Entries(_ context.Context, e EntryFilter, _ Page) ([]EntrySummary, string, error) {
	return nil, "", f.called("Entries", e)
}

func (f *fake) Entry(_ context.Context, id spec.Hash, reveal bool) (Entry, error) {
	return Entry{EntrySummary: EntrySummary{ID: id, State: "active"}, Case: spec.Hash{5}}, f.called("Entry", reveal)
}

func (f *fake) Members(context.Context) ([]Member, error) {
	return []Member{{ID: "alpha", Role: "member", Self: true}}, f.called("Members", nil)
}

func (f *fake) Status(context.Context) (Status, error) {
	return Status{Origin: "north/0123", Organisation: "alpha", Role: "member"}, f.called("Status", nil)
}

func (f *fake) Consortia(context.Context) ([]Consortium, error) { return f.consortia, nil }

func (f *fake) FollowConsortium(_ context.Context, name string) error {
	return f.called("FollowConsortium", name)
}

func (f *fake) LeaveConsortium(_ context.Context, name string) error {
	return f.called("LeaveConsortium", name)
}

func (f *fake) SetImports(_ context.Context, name string, p *consortia.Policy) error {
	return f.called("SetImports", *p)
}

func (f *fake) Ready(context.Context) []Check {
	_ = f.called("Ready", nil)
	return f.checks
}

// A rig is a served fake with a client for each door.
type rig struct {
	*fake
	srv    *Server
	socket string
	logs   *syncBuffer
}

func serveFake(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	r := &rig{fake: &fake{listed: sha256.Sum256([]byte("listed"))}, socket: filepath.Join(t.TempDir(), SocketName), logs: &syncBuffer{}}
	cfg := Config{
		Backend: r.fake, Socket: r.socket, TCP: "127.0.0.1:0", MaxFileBytes: 1 << 20,
		Logger: slog.New(slog.NewJSONHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Fatal:  func(err error) { t.Error(err) },
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if r.srv, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.srv.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// client talks through one door; URLs begin with the base.
func (r *rig) client(t *testing.T, d door) (c *http.Client, base string) {
	t.Helper()
	tr := &http.Transport{}
	base = "http://" + r.srv.Addr().String()
	if d == socketDoor {
		base = "http://localhost"
		tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", r.socket)
		}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}, base
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
