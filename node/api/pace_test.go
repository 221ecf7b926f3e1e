// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

// A body that comes slowly and does not end keeps no server from closing: a file, rows
// and lines are broken off, and what was answered before stands.
func TestClosingWaitsForNoBodyThatDoesNotEnd(t *testing.T) {
	for path, x := range map[string]struct {
		kind  string
		first []byte
		next  []byte
	}{
		"/v1/match":       {"application/octet-stream", make([]byte, smallBody+1), []byte{1}},
		"/v1/match:rows":  {"application/octet-stream", make([]byte, rowBytes*(flushRows+2048)), make([]byte, rowBytes)},
		"/v1/match:batch": {"application/x-ndjson", []byte(line(1, hexOf("listed"))), []byte(line(2, hexOf("other")))},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			r := serveFake(t, nil)
			c, base := r.client(t, tcpDoor)
			r.began = make(chan struct{})
			body := &trickling{rest: x.first, next: x.next}
			req, err := http.NewRequestWithContext(t.Context(), "POST", base+path, body)
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = 1 << 20
			req.Header.Set("Content-Type", x.kind)
			asked := make(chan error, 1)
			go func() {
				resp, err := c.Do(req)
				if err == nil {
					if path != "/v1/match" { // is answered while it comes
						close(r.began)
					}
					_, err = io.Copy(io.Discard, resp.Body)
					err = errors.Join(err, resp.Body.Close())
					if resp.StatusCode != 200 {
						err = errors.New(resp.Status)
					}
				}
				asked <- err
			}()
			select {
			case <-r.began:
			case err := <-asked:
				t.Fatalf("the request ended at once: %v", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
			defer cancel()
			if err := r.srv.Close(ctx); err != nil || ctx.Err() != nil {
				t.Fatalf("closing waited for the body: %v", err)
			}
			if err := <-asked; err == nil {
				t.Error("a body that was broken off counts as answered")
			}
			if bytes.Contains([]byte(r.logs.String()), []byte("panicked")) {
				t.Errorf("breaking off is logged as a fault: %s", r.logs.String())
			}
		})
	}
}

// trickling is a body that goes on for ever, slowly.
type trickling struct {
	rest, next []byte
	tick       *time.Ticker
}

func (b *trickling) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		if b.tick == nil {
			b.tick = time.NewTicker(500 * time.Millisecond)
		}
		<-b.tick.C
		b.rest = b.next
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}
