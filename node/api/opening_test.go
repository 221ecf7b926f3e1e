// SPDX-License-Identifier: Apache-2.0

package api

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// TestUntilItServesANodeSaysHowFarItIs asks both doors before and after Serve.
func TestUntilItServesANodeSaysHowFarItIs(t *testing.T) {
	r := serveFake(t, func(c *Config) {
		c.Backend = nil
		c.Opening = func() []Check { return []Check{{Name: "index", Reason: "43 % of 1000"}} }
	})
	ask := func(d door, method, path, body string) (int, string) {
		c, base := r.client(t, d)
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	query := `{"signals":[{"type":"sha256","value":"` + r.listed.String() + `"}]}`
	for _, d := range []door{socketDoor, tcpDoor} {
		if status, _ := ask(d, "GET", "/livez", ""); status != 200 {
			t.Errorf("livez: status %d", status)
		}
		status, b := ask(d, "GET", "/readyz", "")
		if h := decode[wire.Health](t, []byte(b)); status != 503 || h.Ok || len(h.Checks) != 1 || h.Checks[0].Reason != "43 % of 1000" {
			t.Errorf("readyz: status %d, %s", status, b)
		}
		status, b = ask(d, "POST", "/v1/match", query)
		if p := decode[wire.Problem](t, []byte(b)); status != 503 || p.Code != string(spec.CodeNotReady) || !strings.Contains(p.Detail, "43 %") {
			t.Errorf("a lookup: status %d, %s", status, b)
		}
	}
	if calls := r.log(); len(calls) != 0 {
		t.Errorf("the backend was asked: %v", calls)
	}
	r.srv.Serve(r.fake, nil)
	for _, d := range []door{socketDoor, tcpDoor} {
		if status, b := ask(d, "POST", "/v1/match", query); status != 200 || !strings.Contains(b, `"match"`) {
			t.Errorf("a lookup of a node that serves: status %d, %s", status, b)
		}
	}
	if status, b := ask(tcpDoor, "GET", "/v1/status", ""); status != 403 {
		t.Errorf("a route of the socket alone: status %d, %s", status, b)
	}
}
