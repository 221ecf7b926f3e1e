// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/spec"
)

// lineOf is a line with n signals of MD5.
func lineOf(first, n int, text string) string {
	var signals []string
	for i := range n {
		signals = append(signals, fmt.Sprintf(`{"type":"md5","value":"%032x"}`, first+i))
	}
	return fmt.Sprintf(`{"labels":["x"],"signals":[%s],"text":%q}`+"\n", strings.Join(signals, ","), text)
}

// A batch is as large as a proposal can be, and no larger.
func TestBatchesAreWhatOneProposalTakes(t *testing.T) {
	for name, c := range map[string]struct {
		list string
		want []int // lines of each batch
	}{
		"many items":           {strings.Repeat(lineOf(1, 1, ""), 600), []int{256, 256, 88}},
		"many signals":         {strings.Repeat(lineOf(1, 1000, ""), 3), []int{2, 1}},
		"as many as there are": {lineOf(1, spec.MaxSignals, "") + lineOf(1, 1, ""), []int{1, 1}},
		"another text":         {lineOf(1, 1, "a") + lineOf(2, 1, "b") + lineOf(3, 1, "b"), []int{1, 2}},
	} {
		lines, batches := newListReader(strings.NewReader(c.list)), []*batch{{}}
		for {
			l, err := lines.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !batches[len(batches)-1].takes(l) {
				batches = append(batches, &batch{})
			}
			batches[len(batches)-1].add(l)
		}
		var got []int
		for _, b := range batches {
			got = append(got, len(b.lines))
			if opened := opening(t, b); opened > b.opening+64 {
				t.Errorf("%s: an opening of %d bytes was measured as %d", name, opened, b.opening)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: batches of %v lines, want %v", name, got, c.want)
		}
	}
}

// opening is the size of the opening that a batch takes without its text.
func opening(t *testing.T, b *batch) int {
	t.Helper()
	o := &spec.Opening{}
	for i, l := range b.lines {
		for _, w := range l.Signals {
			s, err := spec.ParseSignal(w.Type, w.Value)
			if err != nil {
				t.Fatal(err)
			}
			o.Signals = append(o.Signals, spec.Opened{Item: i, Signal: s})
		}
	}
	enc, err := o.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return len(enc)
}

// A line that is too large is told by its number, and the next one is read.
func TestALineThatIsTooLarge(t *testing.T) {
	lines := newListReader(strings.NewReader(strings.Repeat("x", maxLine+1) + "\n" + lineOf(1, 1, "") + lineOf(1, spec.MaxSignals+1, "")))
	for number, want := range []spec.Code{spec.CodeTooLarge, "", spec.CodeTooLarge} {
		l, err := lines.next()
		if spec.CodeOf(err) != want || l == nil || l.number != number+1 {
			t.Errorf("line %d: %+v, %v, want %q", number+1, l, err, want)
		}
	}
	if _, err := lines.next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last line: %v", err)
	}
}

// Whatever a line holds, it is taken or refused, and the reader goes on.
func FuzzListReader(f *testing.F) {
	f.Add([]byte(lineOf(1, 2, "text") + "\n{}\n[1]\nnull\n"))
	f.Add([]byte(`{"labels":["x"],"signals":[{"type":"pdq","value":"00","quality":-1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := newListReader(strings.NewReader(string(data)))
		for n := 0; ; n++ {
			l, err := lines.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if n > len(data) || err != nil && spec.CodeOf(err) == "" || err == nil && (l.digest == "" || len(l.Signals) == 0) {
				t.Fatalf("line %d: %+v, %v", n, l, err)
			}
		}
	})
}

// Two that propose one list at once would each open its cases.
func TestJournalHasOneWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.ndjson"+journalSuffix)
	first, err := openJournal(path, "north", "alpha")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(path, "north", "alpha"); spec.CodeOf(err) != spec.CodeBusy {
		t.Errorf("a second writer: %v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	again, err := openJournal(path, "north", "alpha")
	if err != nil {
		t.Fatalf("after the first is done: %v", err)
	}
	if err := again.close(); err != nil {
		t.Fatal(err)
	}
}

// A batch for which there is no room is sent again as it was, under the same key, and
// the list goes on.
func TestABatchThatFindsNoRoomIsSentAgain(t *testing.T) {
	dir, err := os.MkdirTemp("", "list") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	var mu sync.Mutex
	var sent []string
	answer := func(w http.ResponseWriter, status int, kind, body string) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "application/json", `{"origin":"north/1","organisation":"alpha"}`)
	})
	mux.HandleFunc("POST /v1/proposals", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if sent = append(sent, string(b)); len(sent) <= 2 {
			answer(w, http.StatusServiceUnavailable, "application/problem+json", `{"code":"BUSY","title":"busy","status":503,"detail":"submit it again"}`)
			return
		}
		answer(w, http.StatusCreated, "application/json", fmt.Sprintf(`{"id":"%064x"}`, len(sent)))
	})
	l, err := net.Listen("unix", filepath.Join(dir, api.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: mux}
	defer srv.Close()
	go srv.Serve(l)
	list := filepath.Join(dir, "list.ndjson")
	if err := os.WriteFile(list, []byte(lineOf(1, 1, "a")+lineOf(2, 1, "b")), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, talk bytes.Buffer
	if code := run(t.Context(), []string{"--data", dir, "propose", "--file", list, "--basis", "test"}, strings.NewReader(""), &out, &talk); code != exitFine {
		t.Fatalf("exit %d: %s", code, &talk)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(sent) != 4 || sent[1] != sent[0] || sent[2] != sent[0] || sent[3] == sent[0] || !strings.Contains(sent[0], `"idempotency_key":"`) {
		t.Errorf("sent %q", sent)
	}
	if want := fmt.Sprintf("%064x\n%064x\n", 3, 4); out.String() != want {
		t.Errorf("printed %q, want %q", &out, want)
	}
	if strings.Count(talk.String(), "trying again") != 2 {
		t.Errorf("said %q", &talk)
	}
}
