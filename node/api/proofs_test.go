// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// proofs answers what it was asked, in words.
type proofs struct{}

func (proofs) Receipt(_ context.Context, entry spec.Hash, s *spec.Signal) ([]byte, error) {
	if s == nil {
		return []byte("receipt of " + entry.String()[:2]), nil
	}
	return []byte("receipt of " + entry.String()[:2] + " opening " + s.Text()[:2]), nil
}

func (proofs) AbsenceReceipt(_ context.Context, s spec.Signal) ([]byte, error) {
	return nil, spec.Errorf(spec.CodeNotFinal, "not final")
}

func (proofs) LogHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "file "+r.URL.Path) })
}

func (proofs) Purge(context.Context) error { return nil }

func (proofs) DraftRecovery(_ context.Context, seats []spec.Seat) ([]byte, error) {
	if len(seats) != 1 || seats[0].Key != (spec.PublicKey{1}) {
		return nil, spec.Errorf(spec.CodePolicy, "other seats than asked for: %v", seats)
	}
	return []byte("draft with " + seats[0].Org), nil
}

func (proofs) SignRecovery(_ context.Context, file []byte) ([]byte, error) {
	return []byte("signed " + string(file)), nil
}

func (proofs) ReviewRecovery(_ context.Context, file []byte) (*RecoveryReview, error) {
	return &RecoveryReview{Size: uint64(len(file)), Refused: string(file)}, nil
}

// The log is open on both doors; what opens values, or changes files, on the
// socket alone.
func TestProofsAtTheirDoors(t *testing.T) {
	r := serveFake(t, func(c *Config) { c.Proofs = proofs{} })
	entry, md5 := spec.Hash{1}.String(), strings.Repeat("ab", 16)
	for _, x := range []struct {
		door         door
		method, path string
		body         string
		status       int
		want         string
	}{
		{socketDoor, "GET", "/log/tile/0/000", "", 200, "file tile/0/000"},
		{tcpDoor, "GET", "/log/checkpoint", "", 200, "file checkpoint"},
		{socketDoor, "POST", "/v1/receipts", `{"entry":"` + entry + `"}`, 200, "receipt of 01"},
		{socketDoor, "POST", "/v1/receipts", `{"entry":"` + entry + `","type":"md5","value":"` + md5 + `"}`, 200, "receipt of 01 opening ab"},
		{tcpDoor, "POST", "/v1/receipts", `{"entry":"` + entry + `"}`, 403, "DENIED"},
		{tcpDoor, "POST", "/v1/purge", `{}`, 403, "DENIED"},
		{socketDoor, "POST", "/v1/purge", `{}`, 204, ""},
		{socketDoor, "POST", "/v1/recoveries", `{"sequencers":[{"organisation":"alpha","cosign_key":"AQ` + strings.Repeat("A", 41) + `="}]}`, 200, "draft with alpha"},
		{socketDoor, "POST", "/v1/recoveries", `{"sequencers":[{"organisation":"alpha","cosign_key":"AQAA"}]}`, 400, "has 32 bytes"},
		{socketDoor, "POST", "/v1/recoveries", `{"sequencers":[],"more":1}`, 400, "MALFORMED"},
		{socketDoor, "POST", "/v1/recoveries:sign", `{"file":"it"}`, 200, "signed it"},
		{socketDoor, "POST", "/v1/recoveries:sign", `it`, 400, "MALFORMED"},
		{socketDoor, "POST", "/v1/recoveries:review", `{"file":"it"}`, 200, `"refused":"it"`},
		{tcpDoor, "POST", "/v1/recoveries", `{}`, 403, "DENIED"},
		{tcpDoor, "POST", "/v1/recoveries:sign", `{}`, 403, "DENIED"},
		{tcpDoor, "POST", "/v1/recoveries:review", `{}`, 403, "DENIED"},
		{socketDoor, "POST", "/v1/receipts", `{}`, 400, "MALFORMED"},
		{socketDoor, "POST", "/v1/receipts", `{"entry":"xyz"}`, 400, "MALFORMED"},
		{socketDoor, "POST", "/v1/receipts", `{"other":1}`, 400, "MALFORMED"},
		{socketDoor, "POST", "/v1/receipts", `{"type":"md5","value":"` + md5 + `"}`, 0, "NOT_FINAL"},
	} {
		c, base := r.client(t, x.door)
		req, err := http.NewRequest(x.method, base+x.path, strings.NewReader(x.body))
		if err != nil {
			t.Fatal(err)
		}
		if x.body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || x.status != 0 && resp.StatusCode != x.status || !strings.Contains(string(b), x.want) {
			t.Errorf("%s %s %s: %d %q, %v", x.method, x.path, x.body, resp.StatusCode, b, err)
		}
	}
}
