// SPDX-License-Identifier: Apache-2.0

package api

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

const jsonType = "application/json"

// What a request says reaches the rules as the operation that it names, in the
// order that operations have.
func TestRequestsBecomeOperations(t *testing.T) {
	card := spec.NewKeyCard("alpha", spec.UseOp, testPrivate)
	proof := base64.StdEncoding.EncodeToString(card.Proof[:])
	zero, key := spec.Hash{}.String(), base64.StdEncoding.EncodeToString(testKey)
	for name, c := range map[string]struct {
		path, body string
		want       any
	}{
		"withdraw": {"/v1/withdrawals", `{"case":"` + zero + `","reason":"mistake"}`, &spec.Withdraw{Reason: "mistake"}},
		"expel":    {"/v1/memberships", `{"action":"expel","organisation":"bravo"}`, &spec.Membership{Action: spec.ActionExpel, Org: "bravo"}},
		"leave":    {"/v1/memberships", `{"action":"leave"}`, &spec.Membership{Action: spec.ActionLeave, Org: "alpha"}},
		"key": {"/v1/keys", `{"use":"op","new":"` + key + `","proof":"` + proof + `","reason":"spare"}`,
			&spec.KeyChange{Org: "alpha", Use: spec.UseOp, New: []spec.PublicKey{spec.PublicKey(testKey)}, Proof: []spec.Proof{card.Proof}, Reason: "spare"}},
		"allow": {"/v1/allowed", `{"reason":"news","add":[{"type":"sha256","value":"` + hexOf("b") + `"},{"type":"md5","value":"` + strings.Repeat("0", 32) + `"}]}`,
			&spec.AllowChange{Reason: "news", Add: []spec.Allowed{{Type: "md5", Value: make([]byte, 16)}, {Type: "sha256", Value: sum("b")}}}},
	} {
		r := serveFake(t, nil)
		status, h, body := r.ask(t, "POST", c.path, jsonType, c.body)
		if status != 201 || h.Get("Location") == "" || !reflect.DeepEqual(r.last, c.want) {
			t.Errorf("%s: status %d, %s, the rules got %+v", name, status, body, r.last)
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ path, body, code, pointer string }{
		"a case that is none":    {"/v1/withdrawals", `{"case":"x","reason":"mistake"}`, "MALFORMED", "/case"},
		"an action that is none": {"/v1/memberships", `{"action":"join"}`, "MALFORMED", "/action"},
		"an enrolment of nobody": {"/v1/memberships", `{"action":"enrol"}`, "BAD_CARD", "/card"},
		"to leave for another":   {"/v1/memberships", `{"action":"leave","organisation":"bravo"}`, "ROLE_NOT_ALLOWED", "/organisation"},
		"a short key":            {"/v1/keys", `{"use":"op","new":"AAAA","reason":"spare"}`, "MALFORMED", "/new"},
		"a value that is none":   {"/v1/allowed", `{"reason":"news","add":[{"type":"sha256","value":"zz"}]}`, "BAD_SIGNAL", "/add/0/value"},
		"an unknown field":       {"/v1/keys", `{"use":"op","reason":"spare","what":1}`, "MALFORMED", "/what"},
		"a part of a policy":     {"/v1/policy", `{"over":"` + spec.Hash{}.String() + `","policy":{"version":1}}`, "MALFORMED", ""},
	} {
		r := serveFake(t, nil)
		status, _, body := r.ask(t, "POST", c.path, jsonType, c.body)
		p := decode[wire.Problem](t, body)
		if status < 400 || p.Code != c.code || c.pointer != "" && p.Pointer != c.pointer {
			t.Errorf("%s: status %d, %s", name, status, body)
		}
		for _, call := range r.log() {
			if call == "Submit" {
				t.Errorf("%s: it was submitted all the same", name)
			}
		}
	}
}

// The policy and the taxonomy go out and come in in one shape.
func TestWhatIsShownCanBeProposed(t *testing.T) {
	r := serveFake(t, nil)
	_, _, shown := r.ask(t, "GET", "/v1/policy", "", "")
	status, _, body := r.ask(t, "POST", "/v1/policy", jsonType, string(shown))
	p := spec.DefaultPolicy()
	if got, ok := r.last.(*spec.PolicyChange); status != 201 || !ok || got.Over != p.Digest() || got.Policy.Digest() != p.Digest() {
		t.Errorf("status %d, %s: the rules got %+v", status, body, r.last)
	}
	_, _, shown = r.ask(t, "GET", "/v1/taxonomy", "", "")
	status, _, body = r.ask(t, "POST", "/v1/taxonomy", jsonType, string(shown))
	if got, ok := r.last.(*spec.TaxonomyChange); status != 201 || !ok || !reflect.DeepEqual(got.Taxonomy, spec.DefaultTaxonomy()) {
		t.Errorf("status %d, %s: the rules got %+v", status, body, r.last)
	}
}

func TestAllowedValuesAreShownOnlyWhenAskedFor(t *testing.T) {
	r := serveFake(t, nil)
	for path, want := range map[string]bool{"/v1/allowed": false, "/v1/allowed?reveal=true": true} {
		_, _, body := r.ask(t, "GET", path, "", "")
		if got := strings.Contains(string(body), hexOf("listed")); got != want {
			t.Errorf("%s: the value is shown: %v, want %v", path, got, want)
		}
	}
	if logs := r.logs.String(); strings.Count(logs, "values were shown") != 1 || strings.Contains(logs, hexOf("listed")) {
		t.Error("the log does not say once, without values, that they were shown")
	}
}

// A proposal carries its urgency, its key and its referral.
func TestProposalsAsAnAuthorityMakesThem(t *testing.T) {
	r := serveFake(t, nil)
	request := map[string]any{
		"basis": "referral", "urgent": true, "idempotency_key": "batch-1",
		"items":    []any{map[string]any{"labels": []string{"x"}, "signals": []any{map[string]any{"type": "sha256", "value": hexOf("a")}}}},
		"referral": map[string]any{"form": "notice", "basis": "law", "state": "FR", "grounds": []string{"threat", "incitement"}, "reference": "FR-1", "deadline": "2026-01-02T03:04:05Z"},
	}
	b, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	status, _, body := r.ask(t, "POST", "/v1/proposals", jsonType, string(b))
	got, ok := r.last.(Proposal)
	if status != 201 || !ok || !got.Urgent || got.Key != "batch-1" || got.Referral == nil {
		t.Fatalf("status %d, %s: the backend got %+v", status, body, r.last)
	}
	want := spec.Referral{Form: spec.FormNotice, Basis: "law", State: "FR", Grounds: []string{"incitement", "threat"}, DeadlineMS: 1767323045000}
	if !reflect.DeepEqual(got.Referral.Referral, want) || got.Referral.ReferenceText != "FR-1" {
		t.Errorf("the referral is %+v", got.Referral)
	}
	request["idempotency_key"] = "../../x"
	b, _ = json.Marshal(request)
	if status, _, body := r.ask(t, "POST", "/v1/proposals", jsonType, string(b)); status != 400 {
		t.Errorf("a key that could be a path: status %d, %s", status, body)
	}
}

// testKey is a public key.
var (
	testPrivate = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	testKey     = testPrivate.Public().(ed25519.PublicKey)
)

func sum(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}
