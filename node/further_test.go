// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/node/consortia"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// two founds two consortia and gives what follows time of its own.
func two(t *testing.T) (ctx context.Context, north, west *trial.Consortium) {
	t.Helper()
	_, north = foundWith(t, trial.Options{Members: 2, Name: "north"})
	_, west = foundWith(t, trial.Options{Members: 2, Name: "west"})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx, north, west
}

// call asks a participant's node at its socket, and returns the status and the body.
func call(t *testing.T, p *trial.Participant, method, path string, body any) (int, http.Header, []byte) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(p.Dir, api.SocketName))
	}}}
	kind, data := "application/json", []byte(nil)
	switch b := body.(type) {
	case nil:
	case []byte:
		kind, data = "application/octet-stream", b
	default:
		var err error
		if data, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://node"+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s: %s %s: %v", p.ID, method, path, err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, out
}

// trickle begins a request for rows whose body comes slowly and does not end before it
// is told to. It returns once the first answers are there.
func trickle(t *testing.T, p *trial.Participant, path string, row []byte) (end func()) {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(p.Dir, api.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	end = func() { _ = conn.Close() }
	t.Cleanup(end)
	rows := bytes.Repeat(row, 32<<10) // more than are gathered before answers are sent
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: node\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", path, 2*len(rows))
	if _, err := conn.Write(append([]byte(head), rows...)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len("HTTP/1.1 200"))
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 200" {
		t.Fatalf("rows are not answered while they come: %q, %v", answer, err)
	}
	go func() { // each buys time for the next
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for err := error(nil); err == nil; <-tick.C {
			_, err = conn.Write(row)
		}
	}()
	return end
}

func question(b byte) wire.MatchRequest {
	return wire.MatchRequest{Signals: []wire.Signal{{Type: "sha256", Value: sha(b).Text()}}}
}

// ask looks a signal up below a path.
func ask(t *testing.T, p *trial.Participant, below string, b byte) wire.MatchAnswer {
	t.Helper()
	status, _, body := call(t, p, "POST", below+"/v1/match", question(b))
	var a wire.MatchAnswer
	if err := json.Unmarshal(body, &a); err != nil || status != 200 {
		t.Fatalf("%s: status %d, %s, %v", p.ID, status, body, err)
	}
	return a
}

// codeOf is the code of a call that must not succeed.
func codeOf(t *testing.T, p *trial.Participant, path string, body any) spec.Code {
	t.Helper()
	_, _, text := call(t, p, "POST", path, body)
	var problem wire.Problem
	if err := json.Unmarshal(text, &problem); err != nil {
		t.Fatalf("%s is no problem: %v", text, err)
	}
	return spec.Code(problem.Code)
}

// where lists the consortia whose entries matched, by origin's name, sorted, those to
// be reviewed with a question mark.
func where(a wire.MatchAnswer) (out []string) {
	for _, m := range a.Matches {
		name := consortia.NameOf(m.Consortium)
		if m.Verdict == api.VerdictReview {
			name += "?"
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// say fails unless a lookup has the verdict and matches.
func say(t *testing.T, p *trial.Participant, b byte, verdict string, names ...string) {
	t.Helper()
	a := ask(t, p, "", b)
	if string(a.Verdict) != verdict || !slices.Equal(where(a), names) || a.Incomplete {
		t.Errorf("%s: value %d is %s in %v, incomplete %v; want %s in %v", p.ID, b, a.Verdict, where(a), a.Incomplete, verdict, names)
	}
}

// awaitSay waits until it does.
func awaitSay(t *testing.T, ctx context.Context, p *trial.Participant, b byte, verdict string, names ...string) {
	t.Helper()
	err := trial.Await(ctx, func() (bool, error) {
		a := ask(t, p, "", b)
		return string(a.Verdict) == verdict && slices.Equal(where(a), names) && !a.Incomplete, nil
	})
	if err != nil {
		t.Fatalf("%s: value %d never was %s in %v: %+v", p.ID, b, verdict, names, ask(t, p, "", b))
	}
}

// listAs lists a value under a label.
func listAs(t *testing.T, c *trial.Consortium, b byte, label string) {
	t.Helper()
	id, err := c.Members[0].Propose(t.Context(), api.Proposal{
		Items: []api.ProposalItem{{Labels: []string{label}, Signals: []spec.Signal{sha(b)}}}, Basis: "designated-entity",
	})
	if err != nil {
		t.Fatal(err)
	}
	approve(t, c.Members[1], id)
}

// A member of one consortium reads another: answers come from both and say so, under
// an import policy that changes while the node runs and survives a restart; nothing of
// one consortium is used in the other.
func TestAMemberReadsAnotherConsortium(t *testing.T) {
	ctx, north, west := two(t)
	alpha := north.Members[0]
	listAs(t, north, 1, "isil")
	listAs(t, west, 1, "isil")
	listAs(t, west, 2, "gore")
	if a := ask(t, alpha, "", 1); a.Consortia != nil || a.Matches[0].Consortium != "" || a.Matches[0].Verdict != "" {
		t.Errorf("a node that follows one consortium speaks of several: %+v", a)
	}
	if err := west.Follow(ctx, alpha, "alpha-elsewhere", "west"); err != nil {
		t.Fatal(err)
	}
	awaitSay(t, ctx, alpha, 1, "match", "north", "west")
	say(t, alpha, 2, "match", "west")
	say(t, alpha, 3, "no-match")
	a := ask(t, alpha, "", 1)
	if len(a.Consortia) != 2 || a.Consortia[0].Name != "north" || a.Consortia[1].Name != "west" || a.Consortia[1].Size == 0 || a.Consortia[1].Stale {
		t.Errorf("freshness: %+v", a.Consortia)
	}
	for name, want := range map[string]int{"north": 0, "west": 1} {
		if a := ask(t, alpha, "/consortia/"+name, 2); len(a.Matches) != want || a.Consortia != nil {
			t.Errorf("%s alone: %+v", name, a)
		}
	}
	rows := slices.Concat(sha(1).Value, sha(2).Value, sha(3).Value)
	if _, h, body := call(t, alpha, "POST", "/v1/match:rows", rows); !bytes.Equal(body, []byte{1, 1, 0}) || h.Get("Tocsin-Incomplete") != "" {
		t.Errorf("rows: %v", body)
	}
	if code := codeOf(t, alpha, "/v1/match:rows", rows[:33]); code != spec.CodeMalformed {
		t.Errorf("a torn row: %s", code)
	}

	imports := func(p wire.ImportPolicy) {
		t.Helper()
		if status, _, body := call(t, alpha, "POST", "/v1/consortia/west/imports", p); status != 204 {
			t.Fatalf("status %d: %s", status, body)
		}
	}
	imports(wire.ImportPolicy{Default: "review"})
	say(t, alpha, 1, "match", "north", "west?")
	say(t, alpha, 2, "review", "west?")
	imports(wire.ImportPolicy{Default: "review", Labels: map[string]wire.ImportAction{"gore": "ignore", "isil": "trust"}})
	say(t, alpha, 1, "match", "north", "west")
	say(t, alpha, 2, "no-match")
	if _, _, body := call(t, alpha, "POST", "/v1/match:rows", rows); !bytes.Equal(body, []byte{1, 0, 0}) {
		t.Errorf("rows under a policy: %v", body)
	}
	imports(wire.ImportPolicy{Default: "trust", Labels: map[string]wire.ImportAction{"gore": "review"}})
	if _, _, body := call(t, alpha, "POST", "/v1/match:rows", rows); !bytes.Equal(body, []byte{1, 2, 0}) {
		t.Errorf("rows to be reviewed: %v", body)
	}
	var entries wire.EntryList
	if _, _, body := call(t, alpha, "GET", "/consortia/west/v1/entries", nil); json.Unmarshal(body, &entries) != nil || len(entries.Entries) != 2 {
		t.Errorf("a policy changed what is stored: %s", body)
	}
	for path, want := range map[string]spec.Code{
		"/v1/consortia/west/imports":  spec.CodeLabel,
		"/v1/consortia/north/imports": spec.CodeLabel,
		"/v1/consortia/east/imports":  spec.CodeConsortium,
	} {
		if got := codeOf(t, alpha, path, wire.ImportPolicy{Default: "trust", Labels: map[string]wire.ImportAction{"goer": "ignore"}}); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if got := codeOf(t, alpha, "/v1/consortia/west/imports", wire.ImportPolicy{Default: "perhaps"}); got != spec.CodeMalformed {
		t.Errorf("an action that there is not: %s", got)
	}
	if got := codeOf(t, alpha, "/consortia/east/v1/match", question(1)); got != spec.CodeConsortium {
		t.Errorf("a consortium that is not followed: %s", got)
	}
	apart(t, alpha, west)

	if err := alpha.Node.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := north.Start(ctx, alpha); err != nil {
		t.Fatal(err)
	}
	awaitSay(t, ctx, alpha, 2, "review", "west?")
	awaitSay(t, ctx, alpha, 1, "match", "north", "west")

	file := filepath.Join(alpha.Dir, "consortia", "west", consortia.PolicyFile)
	for text, want := range map[string]spec.Code{
		"default = \"ignore\"\n": "", "default = \"maybe\"\n": spec.CodeConfig, "[labels]\n\"goer\" = \"ignore\"\n": spec.CodeLabel, "lables = 1\n": spec.CodeConfig,
	} {
		if err := os.WriteFile(file, []byte("default = \"review\"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := alpha.ReloadImports(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := spec.CodeOf(alpha.ReloadImports()); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
		if want == "" {
			say(t, alpha, 2, "no-match")
		} else {
			say(t, alpha, 2, "review", "west?")
		}
	}

	imports(wire.ImportPolicy{Default: "trust"})
	end := trickle(t, alpha, "/consortia/west/v1/match:rows", rows[:32])
	late := time.AfterFunc(time.Minute, end)
	if status, _, body := call(t, alpha, "POST", "/v1/consortia/west/leave", nil); status != 204 {
		t.Fatalf("leaving: %d %s", status, body)
	}
	if !late.Stop() {
		t.Error("leaving waited for a request whose body does not end")
	}
	end()
	if _, err := os.Stat(filepath.Join(alpha.Dir, "consortia", "west")); !os.IsNotExist(err) {
		t.Errorf("what was left is still there: %v", err)
	}
	if status, _, body := call(t, alpha, "GET", "/consortia/west/v1/status", nil); status != 404 || !bytes.Contains(body, []byte(spec.CodeConsortium)) {
		t.Errorf("what was left still answers: %d %s", status, body)
	}
	if a := ask(t, alpha, "", 1); len(a.Matches) != 1 || a.Consortia != nil {
		t.Errorf("after leaving: %+v", a)
	}
}

// apart checks that nothing of a participant's own consortium is used in another.
func apart(t *testing.T, p *trial.Participant, other *trial.Consortium) {
	t.Helper()
	own, err := identity.Load(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	there, err := identity.Load(filepath.Join(p.Dir, "consortia", "west"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[spec.PublicKey]bool{}
	for _, o := range []spec.Organisation{own.Organisation, there.Organisation} {
		for _, k := range []spec.PublicKey{o.OpKey, o.CosignKey, o.Libp2pKey} {
			if seen[k] {
				t.Error("a key is used in both consortia")
			}
			seen[k] = true
		}
	}
	if _, err := os.Stat(filepath.Join(p.Dir, "consortia", "west", "fsm")); err != nil {
		t.Errorf("the store is not apart: %v", err)
	}
	if _, err := os.Stat(filepath.Join(p.Dir, "consortia", "west", "mark")); err != nil {
		t.Errorf("the mark is not apart: %v", err)
	}
	for _, m := range other.Members {
		if m.PeerOf(p.ID) == p.PeerOf(p.ID) {
			t.Errorf("%s of the other consortium knows the node's own transport id", m.ID)
		}
	}
}

// A reader of two consortia loses one of them: answers are flagged for it, or, where
// its settings fail closed, come from the other alone and say that they are not whole.
func TestALostConsortiumIsFlaggedAndHidesNothingOfTheOther(t *testing.T) {
	ctx, north, west := two(t)
	reader, err := north.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	if err := west.Follow(ctx, reader, "tango-west", "west"); err != nil {
		t.Fatal(err)
	}
	listAs(t, north, 1, "isil")
	listAs(t, west, 1, "isil")
	listAs(t, west, 2, "isil")
	awaitSay(t, ctx, reader, 1, "match", "north", "west")
	awaitSay(t, ctx, reader, 2, "match", "west")
	for _, m := range west.Members {
		if err := m.Node.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
	later := func() time.Time { return time.Now().Add(10 * time.Minute) }
	for _, closed := range []time.Duration{0, 5 * time.Minute} {
		if err := reader.Node.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		reader.Configure(func(c *node.Config) {
			c.Further = func(string) (node.Config, error) { return node.Config{Now: later, MaxAge: closed}, nil }
		})
		if err := north.Start(ctx, reader); err != nil {
			t.Fatal(err)
		}
		err := trial.Await(ctx, func() (bool, error) {
			list, err := reader.Consortia(ctx)
			return len(list) == 2 && list[1].State == "STALE" && !list[0].Stale, err
		})
		if err != nil {
			t.Fatal(err)
		}
		a := ask(t, reader, "", 1)
		if len(a.Consortia) != 2 || a.Consortia[0].Stale || !a.Consortia[1].Stale || !a.Stale || a.AgeMs < 9*60*1000 || a.Consortia[0].AgeMs > 5*60*1000 {
			t.Fatalf("fresh and stale: %+v", a)
		}
		none := ask(t, reader, "", 3)
		_, h, rows := call(t, reader, "POST", "/v1/match:rows", slices.Concat(sha(1).Value, sha(2).Value))
		alone, _, _ := call(t, reader, "POST", "/consortia/west/v1/match", question(1))
		if closed == 0 {
			if a.Verdict != "match" || len(a.Matches) != 2 || a.Incomplete || none.Verdict != "no-match" || !bytes.Equal(rows, []byte{1, 1}) || alone != 200 {
				t.Errorf("flagged: %+v, %s, rows %v", a, none.Verdict, rows)
			}
			continue
		}
		if a.Verdict != "match" || !slices.Equal(where(a), []string{"north"}) || !a.Incomplete || a.Consortia[1].Code != string(spec.CodeStale) || a.Consortia[0].Code != "" {
			t.Errorf("failing closed: %+v", a)
		}
		if none.Verdict != "unchecked" || !none.Incomplete {
			t.Errorf("what only one consortium was asked for is %s", none.Verdict)
		}
		if !bytes.Equal(rows, []byte{1, 3}) || h.Get("Tocsin-Incomplete") != "true" || alone != 503 {
			t.Errorf("rows %v, %v; alone: %d", rows, h, alone)
		}
	}
	status, _, _ := call(t, reader, "GET", "/readyz", nil)
	if status != 200 {
		t.Errorf("a lost further consortium makes the node not ready: %d", status)
	}
	_, _, text := call(t, reader, "GET", "/metrics", nil)
	for _, line := range []string{`tocsin_stale{consortium="west"} 1`, `tocsin_stale{consortium="north"} 0`, `tocsin_consortium_running{consortium="west"} 1`, `tocsin_sync_state{consortium="west",state="STALE"} 1`} {
		if !bytes.Contains(text, []byte(line)) {
			t.Errorf("metrics lack %s", line)
		}
	}
	listAs(t, north, 4, "isil")
	err = trial.Await(ctx, func() (bool, error) {
		a, err := reader.Match(ctx, []spec.Signal{sha(4)})
		return len(a.Matches) == 1, err
	})
	if err != nil {
		t.Fatal("the other consortium is held up")
	}
}

// The proof of a fork halts the consortium that it is of, and no other, over restarts
// too.
func TestAForkInOneConsortiumLeavesTheOther(t *testing.T) {
	ctx, north, west := two(t)
	alpha := north.Members[0]
	listAs(t, west, 2, "isil")
	if err := west.Follow(ctx, alpha, "alpha-elsewhere", "west"); err != nil {
		t.Fatal(err)
	}
	awaitSay(t, ctx, alpha, 2, "match", "west")
	if err := alpha.Further("west").Hear(ctx, fork(t, west)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := trial.Await(ctx, func() (bool, error) {
			list, err := alpha.Consortia(ctx)
			return len(list) == 2 && list[1].State == "HALT", err
		})
		if err != nil {
			t.Fatal("the proof of a fork halts nothing")
		}
		a := ask(t, alpha, "", 2)
		if a.Verdict != "match" || !a.Consortia[1].Stale || a.Consortia[0].Stale {
			t.Errorf("halted: %+v", a)
		}
		var health wire.Health
		status, _, body := call(t, alpha, "GET", "/readyz", nil)
		if err := json.Unmarshal(body, &health); err != nil || status != 200 {
			t.Errorf("readyz: %d %s", status, body)
		}
		if !slices.ContainsFunc(health.Checks, func(c wire.Check) bool { return c.Consortium == "west" && !c.Ok }) {
			t.Errorf("readyz does not tell of it: %s", body)
		}
		if status, _, _ := call(t, alpha, "GET", "/consortia/west/readyz", nil); status != 503 {
			t.Errorf("the halted one alone is ready: %d", status)
		}
		if err := alpha.Node.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		if err := north.Start(ctx, alpha); err != nil {
			t.Fatal(err)
		}
	}
	listAs(t, north, 5, "isil")
	err := trial.Await(ctx, func() (bool, error) {
		a, err := alpha.Match(ctx, []spec.Signal{sha(5)})
		return len(a.Matches) == 1, err
	})
	if err != nil {
		t.Fatal("the other consortium is held up")
	}
}

// fork has all members cosign another history at the size that is final.
func fork(t *testing.T, c *trial.Consortium) *cosign.Evidence {
	t.Helper()
	m := c.Members[0]
	final, chain := m.FinalNow(), m.Chain()
	other := &tlog.Signed{Checkpoint: final.Checkpoint}
	other.Root[0] ^= 1
	for _, p := range c.Members {
		id, err := identity.Load(p.Dir)
		if err != nil {
			t.Fatal(err)
		}
		other.Cosignatures = append(other.Cosignatures, tlog.Cosign(other.Checkpoint, p.ID, id.Cosign, uint64(time.Now().Unix())))
	}
	slices.SortFunc(other.Cosignatures, tlog.Order)
	e := &cosign.Evidence{Root: final.Root}
	var err error
	if e.Conflict, err = chain.Note(other); err != nil {
		t.Fatal(err)
	}
	if e.Final, err = chain.Note(final); err != nil {
		t.Fatal(err)
	}
	return e
}
