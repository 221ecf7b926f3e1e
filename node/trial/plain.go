// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
)

// A plain client keeps one connection and sends requests that were made before, so
// that the node is measured rather than the client.
type plain struct {
	conn net.Conn
	r    *bufio.Reader
	body bytes.Buffer
	left int // of the last answer, in r
}

func dialPlain(dir string) (*plain, error) {
	conn, err := net.Dial("unix", filepath.Join(dir, api.SocketName))
	if err != nil {
		return nil, err
	}
	return &plain{conn: conn, r: bufio.NewReaderSize(conn, 256<<10)}, nil
}

func (c *plain) close() { c.conn.Close() }

// ask returns the body of the answer, which holds until the next call.
func (c *plain) ask(request []byte) ([]byte, error) {
	if _, err := c.conn.Write(request); err != nil {
		return nil, err
	}
	if body := c.whole(); body != nil {
		return body, nil
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return nil, err
	}
	c.body.Reset()
	if _, err := c.body.ReadFrom(resp.Body); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d: %s", resp.StatusCode, c.body.Bytes())
	}
	return c.body.Bytes(), nil
}

// whole returns the body of an answer that says OK and its length and came in one
// piece, or nil: then nothing was read.
func (c *plain) whole() []byte {
	if c.left > 0 {
		_, _ = c.r.Discard(c.left) // it is in the buffer
		c.left = 0
	}
	if _, err := c.r.Peek(1); err != nil {
		return nil
	}
	b, _ := c.r.Peek(c.r.Buffered())
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 || !bytes.HasPrefix(b, []byte("HTTP/1.1 200 ")) {
		return nil
	}
	const field = "\r\nContent-Length: "
	at := bytes.Index(b[:end], []byte(field))
	if at < 0 {
		return nil
	}
	number, _, _ := bytes.Cut(b[at+len(field):end+2], []byte("\r\n"))
	n, err := strconv.Atoi(string(number))
	if err != nil || n <= 0 || len(b) < end+4+n {
		return nil
	}
	c.left = end + 4 + n
	return b[end+4 : c.left]
}

func plainRequest(path, kind string, body []byte) []byte {
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: node\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", path, kind, len(body))
	return append([]byte(head), body...)
}

// A query is a request with what its answer must hold.
type query struct {
	request []byte
	line    string // of a batch
	planted bool
	entry   string // that must be found
}

// queries makes n lookups of one signal each.
func (f *Filled) queries(seed uint64, n int) []query {
	rng := rand.New(rand.NewPCG(seed, 0x9e57))
	out := make([]query, n)
	for k := range out {
		i, q := rng.IntN(f.Entries/2), &out[k]
		q.planted, q.entry = k%2 == 0, f.entryID(i).String()
		kind, value := "sha256", f.Digest(i)
		switch {
		case k%4 == 0:
			kind, value = "pdq", f.pdq[i]
			for _, bit := range rng.Perm(256)[:rng.IntN(32)] {
				value[bit/8] ^= 1 << (bit % 8)
			}
		case k%4 == 1:
			kind = "pdq"
			for b := range value {
				value[b] = byte(rng.Uint32())
			}
		case k%4 == 3:
			value = f.Digest(i + f.Entries/2)
		}
		signals := fmt.Sprintf(`{"signals":[{"type":"%s","value":"%s"}]}`, kind, hex.EncodeToString(value[:]))
		q.request = plainRequest("/v1/match", "application/json", []byte(signals))
		q.line = fmt.Sprintf(`{"id":"%d",%s`+"\n", k, signals[1:])
	}
	return out
}

// check reads no JSON: what it looks for stands in no other place.
func (q *query) check(answer []byte) error {
	switch {
	case !q.planted && !bytes.Contains(answer, []byte(`"verdict":"no-match"`)):
		return errors.New("a signal that is listed nowhere matches")
	case q.planted && !bytes.Contains(answer, []byte(q.entry)) && !bytes.Contains(answer, []byte(`"truncated":true`)):
		return errors.New("a planted signal does not find its entry")
	}
	return nil
}

const batchLines = 1000

// batch returns the median microseconds per signal of calls of many lines.
func (b *matchBench) batch(context.Context) (float64, error) {
	c, err := dialPlain(b.f.Dir)
	if err != nil {
		return 0, err
	}
	defer c.close()
	queries := b.f.queries(77, 20*batchLines)
	var best []time.Duration
	for at := 0; at < len(queries); at += batchLines {
		var body []byte
		for _, q := range queries[at : at+batchLines] {
			body = append(body, q.line...)
		}
		start := time.Now()
		answer, err := c.stream(plainRequest("/v1/match:batch", "application/x-ndjson", body))
		best = append(best, time.Since(start))
		if err != nil {
			return 0, err
		}
		lines := bytes.Split(bytes.TrimSpace(answer), []byte("\n"))
		if len(lines) != batchLines {
			return 0, fmt.Errorf("%d answers to %d lines", len(lines), batchLines)
		}
		for i, line := range lines {
			if err := queries[at+i].check(line); err != nil {
				return 0, err
			}
		}
	}
	return float64(median(best).Nanoseconds()) / 1e3 / batchLines, nil
}

// stream is ask for an answer that begins before the request has ended.
func (c *plain) stream(request []byte) ([]byte, error) {
	sent := make(chan error, 1)
	go func() {
		_, err := c.conn.Write(request)
		sent <- err
	}()
	body, err := c.ask(nil)
	return body, errors.Join(err, <-sent)
}

// rows returns the median nanoseconds per key of the binary route.
func (b *matchBench) rows(context.Context) (float64, error) {
	c, err := dialPlain(b.f.Dir)
	if err != nil {
		return 0, err
	}
	defer c.close()
	rng := rand.New(rand.NewPCG(5, 7))
	var took []time.Duration
	for range 400 {
		var body, want []byte
		for range batchLines {
			i := rng.IntN(b.f.Entries)
			d, listed := b.f.Digest(i), byte(0)
			if i < b.f.Entries/2 {
				listed = 1
			}
			body, want = append(body, d[:]...), append(want, listed)
		}
		request := plainRequest("/v1/match:rows", "application/octet-stream", body)
		start := time.Now()
		got, err := c.ask(request)
		took = append(took, time.Since(start))
		if err == nil && !bytes.Equal(got, want) {
			err = errors.New("rows are answered wrongly")
		}
		if err != nil {
			return 0, err
		}
	}
	return float64(median(took).Nanoseconds()) / batchLines, nil
}

func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}
