// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// rowsOf makes n rows of which every third is listed, and their answers.
func (r *rig) rowsOf(n int) (rows, want []byte) {
	for i := range n {
		row, listed := spec.Hash{byte(i), byte(i >> 8)}, byte(0)
		if i%3 == 0 {
			row, listed = r.listed, 1
		}
		rows, want = append(rows, row[:]...), append(want, listed)
	}
	return rows, want
}

// postRows sends a body of a known length, or of an unknown one.
func postRows(t *testing.T, r *rig, d door, body io.Reader, length int64) *http.Response {
	t.Helper()
	c, base := r.client(t, d)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "POST", base+"/v1/match:rows", struct{ io.Reader }{body})
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = length
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestRowsAtBothDoors(t *testing.T) {
	r := serveFake(t, nil)
	for _, n := range []int{0, 1, 1000, flushRows + 1, 3 * flushRows} {
		rows, want := r.rowsOf(n)
		for _, d := range []door{socketDoor, tcpDoor} {
			for _, length := range []int64{int64(len(rows)), -1} {
				resp := postRows(t, r, d, bytes.NewReader(rows), length)
				got, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != 200 || !bytes.Equal(got, want) {
					t.Fatalf("%d rows at door %d: status %d, %d answers, %v", n, d, resp.StatusCode, len(got), err)
				}
				for name, value := range map[string]string{
					"Tocsin-Log-Size": "7", "Tocsin-Log-Final": "5", "Tocsin-Log-Age-Ms": "1500", "Tocsin-Log-Stale": "false",
					"Content-Type": "application/octet-stream",
				} {
					if resp.Header.Get(name) != value {
						t.Errorf("%s: %q, want %q", name, resp.Header.Get(name), value)
					}
				}
			}
		}
	}
}

// TestRowsAreAnsweredWhileRowsStillCome sends the second half of a body only once
// most of the first half was answered.
func TestRowsAreAnsweredWhileRowsStillCome(t *testing.T) {
	r := serveFake(t, nil)
	rows, want := r.rowsOf(4 * flushRows)
	half := len(rows) / 2
	in, w := io.Pipe()
	go func() { _, _ = w.Write(rows[:half]) }()
	resp := postRows(t, r, socketDoor, in, int64(len(rows)))
	got := make([]byte, flushRows)
	if _, err := io.ReadFull(resp.Body, got); err != nil {
		t.Fatalf("no answers before the body's end: %v", err)
	}
	go func() {
		_, _ = w.Write(rows[half:])
		w.Close()
	}()
	rest, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(append(got, rest...), want) {
		t.Fatalf("%d answers, %v", len(got)+len(rest), err)
	}
}

func TestRowsThatAreRefused(t *testing.T) {
	r := serveFake(t, nil)
	rows, _ := r.rowsOf(40)
	for _, c := range []struct {
		name   string
		body   io.Reader
		length int64
		status int
		code   spec.Code
	}{
		{"torn, as its length says", bytes.NewReader(rows[:33]), 33, 400, spec.CodeMalformed},
		{"torn, length unknown", bytes.NewReader(rows[:1000]), -1, 400, spec.CodeMalformed},
		{"too many, as the length says", io.LimitReader(zeros{}, 32*MaxRows+32), 32*MaxRows + 32, 413, spec.CodeTooLarge},
		{"too many, length unknown", io.LimitReader(zeros{}, 32*MaxRows+32), -1, 413, spec.CodeTooLarge},
	} {
		resp := postRows(t, r, tcpDoor, c.body, c.length)
		b, _ := io.ReadAll(resp.Body)
		if p := decode[wire.Problem](t, b); resp.StatusCode != c.status || p.Code != string(c.code) {
			t.Errorf("%s: status %d, %s", c.name, resp.StatusCode, b)
		}
	}
	r.err = spec.Errorf(spec.CodeNotReady, "the node is not ready")
	resp := postRows(t, r, socketDoor, bytes.NewReader(rows), int64(len(rows)))
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 503 || decode[wire.Problem](t, b).Code != string(spec.CodeNotReady) {
		t.Errorf("not ready: status %d, %s", resp.StatusCode, b)
	}
	if strings.Contains(r.logs.String(), r.listed.String()) {
		t.Error("a value that was asked for stands in the log")
	}
}

// FuzzRows holds the route to its contract for bodies of any length, announced or
// not: whole rows are answered, others refused.
func FuzzRows(f *testing.F) {
	back := &fake{listed: spec.Hash{1}}
	h := handler(Config{}, &service{back}, nil)
	f.Add([]byte{}, true)
	f.Add(append(back.listed[:], make([]byte, 32)...), true)
	f.Add(make([]byte, 33), false)
	f.Fuzz(func(t *testing.T, body []byte, known bool) {
		req := httptest.NewRequest("POST", "/v1/match:rows", bytes.NewReader(body))
		if !known {
			req.ContentLength = -1
		}
		req.Header.Set("Content-Type", "application/octet-stream")
		req = req.WithContext(context.WithValue(req.Context(), callerKey{}, caller{door: tcpDoor}))
		w := fullDuplex{httptest.NewRecorder()}
		h.ServeHTTP(w, req)
		if len(body)%32 != 0 {
			if w.Code != 400 || !strings.Contains(w.Body.String(), string(spec.CodeMalformed)) {
				t.Fatalf("%d bytes: status %d", len(body), w.Code)
			}
			return
		}
		want := make([]byte, len(body)/32)
		for i := range want {
			if bytes.Equal(body[32*i:32*i+32], back.listed[:]) {
				want[i] = 1
			}
		}
		if w.Code != 200 || !bytes.Equal(w.Body.Bytes(), want) {
			t.Fatal(fmt.Sprint(len(body), " bytes: status ", w.Code, ", answers ", w.Body.Bytes()))
		}
	})
}

// A fullDuplex recorder can be read and written in any order.
type fullDuplex struct{ *httptest.ResponseRecorder }

func (fullDuplex) EnableFullDuplex() error { return nil }
