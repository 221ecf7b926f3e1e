// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

func line(id int, value string) string {
	return fmt.Sprintf(`{"id":"%d","signals":[{"type":"sha256","value":"%s"}]}`+"\n", id, value)
}

// startBatch returns the writing and the reading end of one batch.
func startBatch(t *testing.T, r *rig, d door) (io.WriteCloser, *bufio.Scanner) {
	t.Helper()
	c, base := r.client(t, d)
	in, w := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "POST", base+"/v1/match:batch", in)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("status %d, %v", resp.StatusCode, resp.Header)
	}
	s := bufio.NewScanner(resp.Body)
	s.Buffer(nil, 1<<20)
	return w, s
}

func next(t *testing.T, s *bufio.Scanner) wire.BatchAnswer {
	t.Helper()
	if !s.Scan() {
		t.Fatalf("the answers ended: %v", s.Err())
	}
	return decode[wire.BatchAnswer](t, s.Bytes())
}

// TestBatchOfAThousandLines sends them while answers come back. Every tenth is
// listed, every hundredth is wrong.
func TestBatchOfAThousandLines(t *testing.T) {
	for _, d := range []door{socketDoor, tcpDoor} {
		r := serveFake(t, nil)
		w, s := startBatch(t, r, d)
		go func() {
			var errs []error
			for i := range 1000 {
				text := line(i, hexOf(fmt.Sprint("other", i)))
				if i%10 == 0 {
					text = line(i, hexOf("listed"))
				}
				if i%100 == 99 {
					text = fmt.Sprintf(`{"id":"%d","signals":[{"type":"md5","value":"xyz"}]}`+"\n", i)
				}
				_, err := io.WriteString(w, text)
				errs = append(errs, err)
			}
			if err := errors.Join(append(errs, w.Close())...); err != nil {
				t.Error(err)
			}
		}()
		for i := range 1000 {
			a := next(t, s)
			want := "no-match"
			if i%10 == 0 {
				want = "match"
			}
			switch {
			case a.ID != fmt.Sprint(i):
				t.Fatalf("answer %d has id %q", i, a.ID)
			case i%100 == 99:
				if a.Error.Code != "BAD_SIGNAL" || a.Error.Pointer != "/signals/0/value" || a.Answer != nil {
					t.Errorf("line %d: %+v", i, a)
				}
			case a.Answer == nil || string(a.Answer.Verdict) != want:
				t.Errorf("line %d: %+v, want %s", i, a, want)
			}
		}
		if s.Scan() {
			t.Errorf("more than 1,000 answers: %s", s.Bytes())
		}
	}
}

// TestBatchAnswersWhatItHas waits for each answer before it sends the next line.
func TestBatchAnswersWhatItHas(t *testing.T) {
	r := serveFake(t, nil)
	w, s := startBatch(t, r, socketDoor)
	for i := range 3 {
		if _, err := io.WriteString(w, line(i, hexOf("listed"))); err != nil {
			t.Fatal(err)
		}
		if a := next(t, s); a.ID != fmt.Sprint(i) {
			t.Fatalf("answer %d has id %q", i, a.ID)
		}
	}
	w.Close()
	if s.Scan() || s.Err() != nil {
		t.Errorf("after the end: %s, %v", s.Bytes(), s.Err())
	}
}

// A line is answered although the next one has begun and does not end.
func TestBatchAnswersBeforeALineThatHasBegun(t *testing.T) {
	r := serveFake(t, nil)
	w, s := startBatch(t, r, socketDoor)
	rest := ""
	for i := range 4 {
		whole, begun := line(2*i, hexOf("listed"))+line(2*i+1, hexOf("other")), line(2*i+2, hexOf("listed"))
		if _, err := io.WriteString(w, whole[len(rest):]+begun[:20]); err != nil {
			t.Fatal(err)
		}
		rest = begun[:20]
		for k := range 2 {
			if a := next(t, s); a.ID != fmt.Sprint(2*i+k) || (a.Answer.Verdict == "match") != (k == 0) {
				t.Fatalf("answer %d: %+v", 2*i+k, a)
			}
		}
	}
	w.Close()
	if a := next(t, s); a.Error.Code != "MALFORMED" || a.Line != 9 {
		t.Errorf("a line that never ended: %+v", a)
	}
}

func TestBatchLinesThatAreWrong(t *testing.T) {
	r := serveFake(t, nil)
	long := `{"id":"` + strings.Repeat("x", maxLine) + `"}`
	in := "\nnot JSON\n" + long + "\n" + `{"id":"a"}` + "\n" + `{"id":"b","signals":[],"sginals":1}` + "\r\n" + strings.TrimSpace(line(7, hexOf("listed")))
	_, _, body := r.ask(t, "POST", "/v1/match:batch", "application/x-ndjson", in)
	var got []string
	for l := range bytes.Lines(body) {
		a := decode[wire.BatchAnswer](t, l)
		got = append(got, fmt.Sprintf("%s %d %s%s", a.ID, a.Line, a.Error.Code, a.Error.Pointer))
	}
	want := []string{" 2 MALFORMED", " 3 TOO_LARGE", "a 0 MALFORMED/signals", "b 5 MALFORMED/sginals", "7 0 "}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func FuzzReadLine(f *testing.F) {
	f.Add([]byte("a\n\nb"), 16)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		r := bufio.NewReaderSize(bytes.NewReader(data), 16+size&0xff)
		var got [][]byte
		for {
			l, err := readLine(r)
			if len(l) > 0 {
				got = append(got, l)
			}
			if err != nil && spec.CodeOf(err) == "" {
				break
			}
		}
		var want [][]byte
		for _, l := range bytes.Split(data, []byte("\n")) {
			if l = bytes.TrimSpace(l); len(l) > 0 && len(l) < maxLine {
				want = append(want, l)
			}
		}
		if !bytes.Equal(bytes.Join(got, []byte("\n")), bytes.Join(want, []byte("\n"))) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func FuzzBatchQuery(f *testing.F) {
	f.Add([]byte(line(1, hexOf("a"))))
	f.Add([]byte(`{"id":3}`))
	f.Add([]byte(`{"id":"1","signals":[{"x/y":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var q wire.BatchQuery
		err := json.Unmarshal(data, &q)
		var field *wire.FieldError
		if errors.As(err, &field) && (field.Pointer != "" && field.Pointer[0] != '/' || spec.CodeOf(err) != spec.CodeMalformed) {
			t.Fatalf("%q: pointer %q of %v", data, field.Pointer, err)
		}
	})
}
