// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// ask sends one request over the socket and returns the status and the body.
func (r *rig) ask(t *testing.T, method, path, contentType, body string) (int, http.Header, []byte) {
	t.Helper()
	c, base := r.client(t, socketDoor)
	req, err := http.NewRequest(method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, out
}

func decode[T any](t *testing.T, b []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

func hexOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func query(value string) string {
	return `{"signals":[{"type":"sha256","value":"` + value + `"}]}`
}

func TestMatchSignals(t *testing.T) {
	r := serveFake(t, nil)
	for name, c := range map[string]struct {
		body, verdict string
		unsupported   []wire.Unsupported
	}{
		"listed":              {query(hexOf("listed")), "match", []wire.Unsupported{}},
		"not listed":          {query(hexOf("other")), "no-match", []wire.Unsupported{}},
		"of an unknown type":  {`{"signals":[{"type":"nosuch","value":"00"}]}`, "unchecked", []wire.Unsupported{{Type: "nosuch", Code: "UNKNOWN_SIGNAL_TYPE"}}},
		"partly unknown":      {`{"signals":[{"type":"nosuch","value":"00"},{"type":"sha256","value":"` + hexOf("other") + `"}]}`, "unchecked", []wire.Unsupported{{Type: "nosuch", Code: "UNKNOWN_SIGNAL_TYPE"}}},
		"listed, in bad part": {`{"signals":[{"type":"nosuch","value":"00"},{"type":"sha256","value":"` + hexOf("listed") + `"}]}`, "match", []wire.Unsupported{{Type: "nosuch", Code: "UNKNOWN_SIGNAL_TYPE"}}},
	} {
		status, _, body := r.ask(t, "POST", "/v1/match", "application/json; charset=utf-8", c.body)
		a := decode[wire.MatchAnswer](t, body)
		if status != 200 || string(a.Verdict) != c.verdict || !reflect.DeepEqual(a.Unsupported, c.unsupported) {
			t.Errorf("%s: status %d, %s", name, status, body)
		}
		if a.Size != 7 || a.FinalSize != 3 || a.AgeMs != 1500 {
			t.Errorf("%s: size %d, final %d and age %d ms, want 7, 3 and 1500", name, a.Size, a.FinalSize, a.AgeMs)
		}
		if c.verdict == "match" && (len(a.Matches) != 2 || !a.Matches[0].Final || a.Matches[1].Final || !bytes.Contains(body, []byte(`"final":false`))) {
			t.Errorf("%s: %s does not say which match is final", name, body)
		}
	}
}

func TestMatchFile(t *testing.T) {
	r := serveFake(t, nil)
	form := func(field, content string) (string, string) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		if err := w.WriteField("note", "before"); err != nil {
			t.Fatal(err)
		}
		part, err := w.CreateFormFile(field, "a.jpg")
		if err == nil {
			_, err = part.Write([]byte(content))
		}
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		return w.FormDataContentType(), b.String()
	}
	kind, body := form("file", "P a picture")
	status, _, out := r.ask(t, "POST", "/v1/match", kind, body)
	if a := decode[wire.MatchAnswer](t, out); status != 200 || a.Verdict != "no-match" || a.Signals[1].Quality == nil || r.last != "a.jpg" {
		t.Errorf("a form: status %d, name %v, %s", status, r.last, out)
	}
	kind, body = form("upload", "P")
	if status, _, out = r.ask(t, "POST", "/v1/match", kind, body); status != 400 {
		t.Errorf("a form without the field: status %d, %s", status, out)
	}
	status, _, out = r.ask(t, "POST", "/v1/match", "application/octet-stream", "listed")
	if a := decode[wire.MatchAnswer](t, out); status != 200 || a.Verdict != "match" {
		t.Errorf("a listed file of no supported kind: status %d, %s", status, out)
	}
}

// TestAFileThatCannotBeLookedUpIsNoAnswer: 415 and never "no match".
func TestAFileThatCannotBeLookedUpIsNoAnswer(t *testing.T) {
	r := serveFake(t, nil)
	status, head, body := r.ask(t, "POST", "/v1/match", "application/octet-stream", "no picture")
	p := decode[wire.Problem](t, body)
	if status != 415 || p.Status != 415 || p.Code != "UNSUPPORTED_MEDIUM" || head.Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d, %s", status, body)
	}
	if p.Answer.Verdict != "unchecked" || len(p.Answer.Unsupported) != 1 {
		t.Errorf("the problem's answer: %+v", p.Answer)
	}
}

// TestAFileOfWhichNotAllIsKnownIsAnswered: while a consortium is silent, nobody can say
// that the exact hashes of a file match nothing.
func TestAFileOfWhichNotAllIsKnownIsAnswered(t *testing.T) {
	r := serveFake(t, nil)
	r.incomplete = true
	status, _, body := r.ask(t, "POST", "/v1/match", "application/octet-stream", "no picture")
	if a := decode[wire.MatchAnswer](t, body); status != 200 || a.Verdict != "unchecked" || !a.Incomplete {
		t.Errorf("status %d, %s", status, body)
	}
}

func TestWhatBodiesAreRefused(t *testing.T) {
	id := spec.Hash{1}.String()
	many := strings.Repeat(`{"type":"sha256","value":"`+hexOf("x")+`"},`, spec.MaxSignals+1)
	for name, c := range map[string]struct {
		path, kind, body string
		status           int
		code, pointer    string
	}{
		"form by accident":    {"/v1/match", "application/x-www-form-urlencoded", "x", 415, "UNSUPPORTED_MEDIUM", ""},
		"no type":             {"/v1/votes", "", "{}", 415, "UNSUPPORTED_MEDIUM", ""},
		"file as a vote":      {"/v1/votes", "application/octet-stream", "{}", 415, "UNSUPPORTED_MEDIUM", ""},
		"no JSON":             {"/v1/match", "application/json", "{", 400, "MALFORMED", ""},
		"no object":           {"/v1/votes", "application/json", "[1]", 400, "MALFORMED", ""},
		"unknown field":       {"/v1/votes", "application/json", `{"case":"` + id + `","choice":"approve","excpet":[1]}`, 400, "MALFORMED", "/excpet"},
		"unknown inner field": {"/v1/match", "application/json", `{"signals":[{"type":"sha256","value":""},{"typ":"x"}]}`, 400, "MALFORMED", "/signals/1/typ"},
		"number for text":     {"/v1/match", "application/json", `{"signals":[{"type":"sha256","value":"` + hexOf("a") + `"},{"type":"md5","value":12345}]}`, 400, "MALFORMED", "/signals/1/value"},
		"object for list":     {"/v1/proposals", "application/json", `{"basis":"x","items":{"a":1}}`, 400, "MALFORMED", "/items"},
		"no signals":          {"/v1/match", "application/json", `{}`, 400, "MALFORMED", "/signals"},
		"too many signals":    {"/v1/match", "application/json", `{"signals":[` + strings.TrimSuffix(many, ",") + `]}`, 400, "MALFORMED", "/signals"},
		"bad value":           {"/v1/match", "application/json", `{"signals":[{"type":"md5","value":"` + hexOf("a") + `"}]}`, 400, "BAD_SIGNAL", "/signals/0/value"},
		"value in capitals":   {"/v1/match", "application/json", query(strings.ToUpper(hexOf("listed"))), 400, "BAD_SIGNAL", "/signals/0/value"},
		"bad quality":         {"/v1/match", "application/json", `{"signals":[{"type":"md5","value":"` + hexOf("a")[:32] + `","quality":3}]}`, 400, "BAD_SIGNAL", "/signals/0/quality"},
		"proposal of nothing": {"/v1/proposals", "application/json", `{"basis":"x","items":[]}`, 400, "MALFORMED", "/items"},
		"item of nothing":     {"/v1/proposals", "application/json", `{"basis":"x","items":[{"labels":[],"signals":[]}]}`, 400, "MALFORMED", "/items/0/signals"},
		"unknown type":        {"/v1/proposals", "application/json", `{"basis":"x","items":[{"labels":[],"signals":[{"type":"nosuch","value":"00"}]}]}`, 400, "UNKNOWN_SIGNAL_TYPE", "/items/0/signals/0/type"},
		"poor quality":        {"/v1/proposals", "application/json", `{"basis":"x","items":[{"labels":[],"signals":[{"type":"pdq","value":"` + hexOf("a") + `","quality":49}]}]}`, 400, "BAD_SIGNAL", "/items/0/signals/0/quality"},
		"twice the same":      {"/v1/proposals", "application/json", `{"basis":"x","items":[{"labels":[],"signals":[{"type":"sha256","value":"` + hexOf("a") + `"},{"type":"sha256","value":"` + hexOf("a") + `"}]}]}`, 400, "DUPLICATE_SIGNAL", "/items/0/signals/1"},
		"vote on nothing":     {"/v1/votes", "application/json", `{"case":"x","choice":"approve"}`, 400, "MALFORMED", "/case"},
		"vote of no kind":     {"/v1/votes", "application/json", `{"case":"` + id + `","choice":"maybe"}`, 400, "MALFORMED", "/choice"},
		"no such item":        {"/v1/votes", "application/json", `{"case":"` + id + `","choice":"approve","except":[0,256]}`, 400, "MALFORMED", "/except/1"},
		"long text":           {"/v1/disputes", "application/json", `{"entry":"` + id + `","reason":"x","text":"` + strings.Repeat("x", spec.MaxText+1) + `"}`, 413, "TOO_LARGE", "/text"},
		"invitation of none":  {"/v1/invitations", "application/json", `{"role":"owner"}`, 400, "MALFORMED", "/role"},
		"invitation for ever": {"/v1/invitations", "application/json", `{"role":"reader","expires_s":-1}`, 400, "MALFORMED", "/expires_s"},
		"too large":           {"/v1/votes", "application/json", strings.Repeat(" ", smallBody+1), 413, "TOO_LARGE", ""},
		"file too large":      {"/v1/match", "application/octet-stream", strings.Repeat("x", 1<<20+1), 413, "TOO_LARGE", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := serveFake(t, nil)
			status, _, body := r.ask(t, "POST", c.path, c.kind, c.body)
			p := decode[wire.Problem](t, body)
			if status != c.status || p.Status != c.status || p.Code != c.code || p.Pointer != c.pointer {
				t.Errorf("status %d, %s\nwant %d %s at %q", status, body, c.status, c.code, c.pointer)
			}
			if p.Title == "" || p.Detail == "" || p.RequestID == "" || !strings.HasPrefix(p.Type, problemBase) {
				t.Errorf("an incomplete problem: %s", body)
			}
			if calls := r.log(); len(calls) > 0 {
				t.Errorf("the backend was asked for %v", calls)
			}
		})
	}
}

// TestABodyWithoutALengthIsLimitedToo sends one in chunks.
func TestABodyWithoutALengthIsLimitedToo(t *testing.T) {
	r := serveFake(t, nil)
	c, base := r.client(t, socketDoor)
	for kind, body := range map[string]io.Reader{
		"application/octet-stream": io.LimitReader(zeros{}, 2<<20),
		"application/json":         io.MultiReader(strings.NewReader(`{"signals":[{"type":"`), io.LimitReader(zeros{}, largeBody)),
	} {
		resp, err := c.Post(base+"/v1/match", kind, body)
		if err != nil {
			t.Fatal(err)
		}
		out, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: status %d, %s", kind, resp.StatusCode, out)
		}
	}
}

// TestALengthThatIsTooLargeIsRefusedUnread sends no body at all.
func TestALengthThatIsTooLargeIsRefusedUnread(t *testing.T) {
	r := serveFake(t, nil)
	c, err := net.Dial("unix", r.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /v1/match HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", 2<<20)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func TestWrites(t *testing.T) {
	r := serveFake(t, nil)
	id := spec.Hash{9}
	a, b := sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b"))
	for name, c := range map[string]struct {
		path, body, made, location string
		want                       any
	}{
		"proposal, put in order": {"/v1/proposals",
			`{"basis":"listed-organisation","text":"t","items":[{"labels":["b","a","b"],"signals":[
				{"type":"pdq","value":"` + hexOf("b") + `","quality":80},{"type":"sha256","value":"` + hexOf("a") + `"}]}]}`,
			spec.Hash{2}.String(), "/v1/cases/" + spec.Hash{2}.String(),
			Proposal{Basis: "listed-organisation", Text: "t", Items: []ProposalItem{{Labels: []string{"a", "b"},
				Signals: []spec.Signal{{Type: "sha256", Value: a[:]}, {Type: "pdq", Value: b[:], Quality: 80}}}}}},
		"vote": {"/v1/votes", `{"case":"` + id.String() + `","choice":"approve","except":[2,1,2],"reason":"r","text":"t"}`,
			spec.Hash{3}.String(), "/v1/cases/" + id.String(),
			Ballot{Case: id, Choice: spec.Approve, Except: []uint64{1, 2}, Reason: "r", Text: "t"}},
		"dispute": {"/v1/disputes", `{"entry":"` + id.String() + `","reason":"lawful"}`,
			spec.Hash{4}.String(), "/v1/cases/" + spec.Hash{4}.String(), Claim{Entry: id, Reason: "lawful"}},
	} {
		status, head, body := r.ask(t, "POST", c.path, "application/json", c.body)
		if status != 201 || decode[wire.Made](t, body).ID != c.made || head.Get("Location") != c.location {
			t.Errorf("%s: status %d, %s, Location %s", name, status, body, head.Get("Location"))
		}
		if !reflect.DeepEqual(r.last, c.want) {
			t.Errorf("%s: the backend got %+v, want %+v", name, r.last, c.want)
		}
	}
	status, _, body := r.ask(t, "POST", "/v1/invitations", "application/json", `{"role":"reader"}`)
	if i := decode[wire.Invitation](t, body); status != 201 || i.Line != "tocsin1:x" || r.last != 7*24*time.Hour {
		t.Errorf("invitation: status %d, %s for %v", status, body, r.last)
	}
}

func TestReads(t *testing.T) {
	r := serveFake(t, nil)
	id := spec.Hash{9}.String()
	_, _, body := r.ask(t, "GET", "/v1/cases?state=open&kind=addition&mine=true", "", "")
	if l := decode[wire.CaseList](t, body); len(l.Cases) != 1 || l.Next != "more" || r.last != (CaseFilter{"open", "addition", true}) {
		t.Errorf("cases: %s, asked for %+v", body, r.last)
	}
	_, _, body = r.ask(t, "GET", "/v1/cases?cursor=more&limit=500", "", "")
	if l := decode[wire.CaseList](t, body); l.Next != "" {
		t.Errorf("the last page has a next one: %s", body)
	}
	_, _, body = r.ask(t, "GET", "/v1/cases/"+id, "", "")
	if c := decode[wire.Case](t, body); c.Content[0].Values != nil || c.Votes[0].Choice != "approve" || c.Votes[0].Except[0] != 1 || c.Decided.IsZero() {
		t.Errorf("case: %s", body)
	}
	_, _, body = r.ask(t, "GET", "/v1/cases/"+id+"?reveal=true", "", "")
	if c := decode[wire.Case](t, body); len(c.Content[0].Values) != 1 {
		t.Errorf("revealed case: %s", body)
	}
	if !strings.Contains(r.logs.String(), `"msg":"values were shown","case":"`+id) {
		t.Error("nobody noted that values were shown")
	}
	_, _, body = r.ask(t, "GET", "/v1/entries?state=active&label=x&organisation=alpha", "", "")
	if l := decode[wire.EntryList](t, body); l.Entries == nil || r.last != (EntryFilter{"active", "x", "alpha"}) {
		t.Errorf("entries: %s, asked for %+v", body, r.last)
	}
	for _, path := range []string{"/v1/cases?state=closed", "/v1/cases?kind=x", "/v1/cases?limit=501", "/v1/cases?limit=x", "/v1/cases?mine=perhaps",
		"/v1/entries?state=x", "/v1/entries?limit=-1", "/v1/cases/12", "/v1/entries/" + strings.ToUpper(hexOf("x"))} {
		if status, _, body := r.ask(t, "GET", path, "", ""); status != 400 || decode[wire.Problem](t, body).Code != "MALFORMED" {
			t.Errorf("%s: status %d, %s", path, status, body)
		}
	}
}

func TestHealth(t *testing.T) {
	r := serveFake(t, nil)
	r.checks = []Check{{Name: "log", OK: true}, {Name: "index", Reason: "still loading"}}
	status, _, body := r.ask(t, "GET", "/readyz", "", "")
	if h := decode[wire.Health](t, body); status != 503 || h.Ok || len(h.Checks) != 2 || h.Checks[1].Reason != "still loading" {
		t.Errorf("not ready: status %d, %s", status, body)
	}
	r.checks[1].OK = true
	if status, _, body = r.ask(t, "GET", "/readyz", "", ""); status != 200 {
		t.Errorf("ready: status %d, %s", status, body)
	}
	if status, _, body = r.ask(t, "GET", "/livez", "", ""); status != 200 {
		t.Errorf("live: status %d, %s", status, body)
	}
}

func TestPathsAndMethodsThatThereAreNot(t *testing.T) {
	r := serveFake(t, nil)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""}, {"GET", "/v1/match/", 404, ""}, {"GET", "/v1/nothing", 404, ""},
		{"GET", "/v1/match", 405, "POST"}, {"DELETE", "/v1/cases", 405, "GET"}, {"PUT", "/v1/votes", 405, "POST"},
	} {
		status, head, body := r.ask(t, c.method, c.path, "", "")
		p := decode[wire.Problem](t, body)
		if status != c.status || p.Status != c.status || head.Get("Allow") != c.allow {
			t.Errorf("%s %s: status %d, Allow %q, %s", c.method, c.path, status, head.Get("Allow"), body)
		}
	}
}

func TestWhatTheBackendRefuses(t *testing.T) {
	r := serveFake(t, nil)
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{spec.Errorf(spec.CodeNotReady, "loading"), 503, "NOT_READY"},
		{spec.Errorf(spec.CodeRole, "no"), 403, "ROLE_NOT_ALLOWED"},
		{spec.Errorf(spec.CodeUnknown, "perhaps"), 504, "OUTCOME_UNKNOWN"},
		{errors.New("secret text of a fault"), 500, "INTERNAL"},
		{spec.Errorf("NEVER_HEARD_OF", "secret text of a fault"), 500, "INTERNAL"},
	} {
		r.err = c.err
		status, head, body := r.ask(t, "GET", "/v1/status", "", "")
		p := decode[wire.Problem](t, body)
		if status != c.status || p.Code != c.code || strings.Contains(string(body), "secret") {
			t.Errorf("%v: status %d, %s", c.err, status, body)
		}
		if retry := head.Get("Retry-After"); (retry != "") != (c.status == 503) {
			t.Errorf("%v: Retry-After %q", c.err, retry)
		}
	}
	if !strings.Contains(r.logs.String(), "secret text of a fault") {
		t.Error("the log does not say why the node failed")
	}
}

func TestAPanicCostsOneRequest(t *testing.T) {
	r := serveFake(t, nil)
	r.boom = true
	status, _, body := r.ask(t, "GET", "/v1/status", "", "")
	if p := decode[wire.Problem](t, body); status != 500 || p.Code != "INTERNAL" || strings.Contains(string(body), "boom") {
		t.Errorf("status %d, %s", status, body)
	}
	r.boom = false
	if status, _, _ := r.ask(t, "GET", "/v1/status", "", ""); status != 200 {
		t.Errorf("after a panic: status %d", status)
	}
}

// TestNoValueIsLogged looks values up in every way, good and bad.
func TestNoValueIsLogged(t *testing.T) {
	r := serveFake(t, nil)
	value := hexOf("listed")
	r.ask(t, "POST", "/v1/match", "application/json", query(value))
	r.ask(t, "POST", "/v1/match", "application/json", query(value+"0"))
	r.ask(t, "POST", "/v1/match", "application/json", `{"signals":"`+value+`"}`)
	r.ask(t, "POST", "/v1/match", "application/json", `{"`+value+`":1}`)
	r.ask(t, "POST", "/v1/match:batch", "application/x-ndjson", `{"id":"1","signals":[{"type":"sha256","value":"`+value+`"}]}`+"\n"+value+"\n")
	r.ask(t, "GET", "/v1/cases/"+value, "", "")
	if logs := r.logs.String(); strings.Contains(logs, value) || strings.Count(logs, `"msg":"request"`) != 6 {
		t.Errorf("the log:\n%s", logs)
	}
}

// TestEveryCodeHasAStatus reads the table of codes from its source.
func TestEveryCodeHasAStatus(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../spec/codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		lit, ok := node.(*ast.BasicLit)
		if !ok {
			return true
		}
		code, err := strconv.Unquote(lit.Value)
		if err != nil || statuses[spec.Code(code)] == 0 {
			t.Errorf("the code %s has no status", lit.Value)
		}
		n++
		return true
	})
	if n < 30 {
		t.Errorf("only %d codes were found", n)
	}
}

// TestTheWordsOfTheSpecificationAreThoseOfTheRules: a word that the rules use
// and the wire does not know could not be asked for.
func TestTheWordsOfTheSpecificationAreThoseOfTheRules(t *testing.T) {
	for outcome := uint64(0); outcome < 1<<8; outcome++ {
		if word := spec.OutcomeName(outcome); !wire.CaseState(word).Valid() {
			t.Errorf("a case can be %q", word)
		}
	}
	for state := uint64(1); state < 1<<8; state++ {
		if word := spec.StateName(state); !wire.EntryState(word).Valid() {
			t.Errorf("an entry can be %q", word)
		}
	}
	for _, kind := range []string{CaseAddition, CaseDispute, CaseEnrolment, CaseExpulsion, CaseLeave, CaseTier, CaseKey, CasePolicy, CaseTaxonomy, CaseAllow} {
		if !wire.CaseKind(kind).Valid() {
			t.Errorf("a case can be of kind %q", kind)
		}
	}
	for _, role := range []string{spec.RoleMember, spec.RoleReader, spec.RoleReferrer, spec.RoleAuditor} {
		if !wire.Role(role).Valid() {
			t.Errorf("an organisation can be a %q", role)
		}
	}
}
