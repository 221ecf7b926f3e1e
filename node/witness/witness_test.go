// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

const origin = "log.example/one"

// A logOf signs any history that a test wants.
type logOf struct {
	tlog.Memory
	signer note.Signer
	vkey   string
}

func newLog(t testing.TB, name string) *logOf {
	t.Helper()
	skey, vkey, err := note.GenerateKey(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return &logOf{signer: s, vkey: vkey}
}

func (l *logOf) grow(salt byte, upto uint64) {
	for l.Size < upto {
		l.Add(spec.LeafHash([]byte{salt, byte(l.Size)}))
	}
}

// note signs what the log is at a size, with further lines in the text.
func (l *logOf) note(t testing.TB, size uint64, more string) []byte {
	t.Helper()
	root, err := tlog.Root(l, size)
	if err != nil {
		t.Fatal(err)
	}
	b, err := note.Sign(&note.Note{Text: string(tlog.Checkpoint{Origin: origin, Size: size, Root: root}.Text()) + more}, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (l *logOf) request(t testing.TB, old, size uint64) string {
	t.Helper()
	proof, err := tlog.Consistency(l, old, size)
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, h := range proof {
		lines.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	return fmt.Sprintf("old %d\n%s\n%s", old, lines.String(), l.note(t, size, ""))
}

func open(t testing.TB, dir string, vkeys ...string) *Witness {
	t.Helper()
	w, err := Open(Config{Dir: dir, Name: "witness.example", Logs: vkeys, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func post(w *Witness, body string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, httptest.NewRequest("POST", "/add-checkpoint", strings.NewReader(body)))
	return rec
}

// cosigned fails unless an answer is the witness's cosignature on a note.
func cosigned(t *testing.T, w *Witness, signed []byte, rec *httptest.ResponseRecorder) {
	t.Helper()
	v, err := fnote.NewVerifierForCosignatureV1(w.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(append(bytes.Clone(signed), rec.Body.Bytes()...), note.VerifierList(v))
	if rec.Code != 200 || err != nil || len(n.Sigs) != 1 {
		t.Fatalf("status %d, %q: %v", rec.Code, rec.Body, err)
	}
	at, err := fnote.CoSigV1Timestamp(n.Sigs[0])
	if err != nil || time.Since(at) > time.Minute || time.Since(at) < -time.Minute {
		t.Fatalf("cosigned at %v, %v", at, err)
	}
}

// A witness cosigns what continues what it cosigned, and answers all else as
// tlog-witness says, without a signature and without a change.
func TestAddCheckpoint(t *testing.T) {
	l, other := newLog(t, origin), newLog(t, origin)
	l.grow(1, 30)
	other.grow(2, 30)
	forked := &logOf{signer: l.signer, vkey: l.vkey}
	forked.grow(3, 30)
	dir := t.TempDir()
	w := open(t, dir, l.vkey)
	cosigned(t, w, l.note(t, 5, ""), post(w, l.request(t, 0, 5)))
	cosigned(t, w, l.note(t, 12, ""), post(w, l.request(t, 5, 12)))
	cosigned(t, w, l.note(t, 12, ""), post(w, l.request(t, 12, 12))) // again
	cosigned(t, w, l.note(t, 12, "an extension\n"), post(w, "old 12\n\n"+string(l.note(t, 12, "an extension\n"))))

	stranger := newLog(t, "log.example/two")
	stranger.grow(1, 3)
	unknown := strings.Replace(l.request(t, 12, 20), origin+"\n", "log.example/two\n", 1)
	wrongProof := strings.Replace(l.request(t, 12, 20), "\n", "\n"+base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n", 1)
	for name, c := range map[string]struct {
		body   string
		status int
		size   string
	}{
		"another size":               {l.request(t, 5, 20), 409, "12\n"},
		"no size":                    {l.request(t, 0, 20), 409, "12\n"},
		"a size ahead":               {l.request(t, 15, 20), 409, "12\n"},
		"a fork at one size":         {forked.request(t, 12, 12), 409, ""},
		"a fork that grew":           {forked.request(t, 12, 20), 422, ""},
		"a proof too long":           {wrongProof, 422, ""},
		"no proof":                   {"old 12\n\n" + string(l.note(t, 20, "")), 422, ""},
		"a log that is not known":    {unknown, 404, ""},
		"another key":                {other.request(t, 12, 20), 403, ""},
		"a changed text":             {strings.Replace(l.request(t, 12, 20), "\n20\n", "\n21\n", 1), 403, ""},
		"a size below the old one":   {"old 20\n\n" + string(l.note(t, 12, "")), 400, ""},
		"nothing":                    {"", 400, ""},
		"no old size":                {string(l.note(t, 20, "")), 400, ""},
		"an old size written oddly":  {strings.Replace(l.request(t, 12, 20), "old 12", "old 012", 1), 400, ""},
		"a negative old size":        {strings.Replace(l.request(t, 12, 20), "old 12", "old -1", 1), 400, ""},
		"a line that is no hash":     {strings.Replace(l.request(t, 12, 20), "\n", "\nAAAA\n", 1), 400, ""},
		"too many lines":             {"old 12\n" + strings.Repeat(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n", 64) + "\n" + string(l.note(t, 20, "")), 400, ""},
		"a request that is too long": {"old 12\n\n" + string(l.note(t, 20, "")) + strings.Repeat("— x y\n", 20000), 413, ""},
	} {
		rec := post(w, c.body)
		if rec.Code != c.status || c.size != "" && (rec.Body.String() != c.size || rec.Header().Get("Content-Type") != "text/x.tlog.size") ||
			c.size == "" && rec.Header().Get("Content-Type") == "text/x.tlog.size" || strings.Contains(rec.Body.String(), "— ") {
			t.Errorf("%s: status %d, %s %q; want %d %q", name, rec.Code, rec.Header().Get("Content-Type"), rec.Body, c.status, c.size)
		}
	}
	if e, err := w.state.last(origin); err != nil || e.Size != 12 {
		t.Errorf("after what was refused the witness is at %d, %v", e.Size, err)
	}
	kept, err := os.ReadDir(filepath.Join(dir, "forks"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%d forks are kept, %v", len(kept), err)
	}
	evidence, err := os.ReadFile(filepath.Join(dir, "forks", kept[0].Name()))
	if err != nil || !bytes.Contains(evidence, forked.note(t, 12, "")) || !bytes.Contains(evidence, l.note(t, 12, "an extension\n")) {
		t.Errorf("the fork that is kept: %q, %v", evidence, err)
	}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/add-checkpoint", nil))
	if rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", rec.Code)
	}
}

// What was cosigned, and the key, outlast the witness; one that lost its state has
// another key.
func TestTheStateOutlastsTheWitness(t *testing.T) {
	l := newLog(t, origin)
	l.grow(1, 30)
	dir := t.TempDir()
	w := open(t, dir, l.vkey)
	cosigned(t, w, l.note(t, 9, ""), post(w, l.request(t, 0, 9)))
	key := w.VerifierKey()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = open(t, dir, l.vkey)
	if w.VerifierKey() != key {
		t.Error("it has another key")
	}
	if rec := post(w, l.request(t, 0, 9)); rec.Code != 409 || rec.Body.String() != "9\n" {
		t.Errorf("it forgot: %d %q", rec.Code, rec.Body)
	}
	if open(t, t.TempDir(), l.vkey).VerifierKey() == key {
		t.Error("a new state has the old key")
	}
}

// Nothing is signed that could not be kept.
func TestNothingIsSignedThatIsNotKept(t *testing.T) {
	l := newLog(t, origin)
	l.grow(1, 30)
	w := open(t, t.TempDir(), l.vkey)
	if err := w.state.close(); err != nil { // as a disk that fails
		t.Fatal(err)
	}
	if rec := post(w, l.request(t, 0, 9)); rec.Code != 500 || strings.Contains(rec.Body.String(), "— ") {
		t.Errorf("status %d, %q", rec.Code, rec.Body)
	}
}

// A feeder brings a witness's cosignatures on what is final, finds out by itself
// what the witness has seen, and believes no other signature.
func TestFeeder(t *testing.T) {
	l := newLog(t, origin)
	l.grow(1, 30)
	w := open(t, t.TempDir(), l.vkey)
	cosigned(t, w, l.note(t, 3, ""), post(w, l.request(t, 0, 3))) // it has seen some of it
	server := httptest.NewServer(w.Handler())
	defer server.Close()
	liar := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Write(Line("liar.example", 1, 2, make([]byte, ed25519.SignatureSize)))
	}))
	defer liar.Close()
	liarKey, _, err := verifierKey("liar.example", ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	var addresses []Address
	for _, s := range []string{w.VerifierKey() + " " + server.URL, liarKey + " " + liar.URL} {
		a, err := ParseAddress(s)
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, a)
	}
	sizes := make(chan uint64, 1)
	changed := make(chan struct{})
	size := uint64(10)
	at := func(size uint64) tlog.Checkpoint {
		root, err := tlog.Root(l, size)
		if err != nil {
			t.Error(err)
		}
		return tlog.Checkpoint{Origin: origin, Size: size, Root: root}
	}
	book := &Book{}
	f := &Feeder{
		Witnesses: addresses, Log: l, Book: book, Client: server.Client(), Every: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
		Newest: func() (tlog.Checkpoint, []byte) {
			select {
			case size = <-sizes:
			default:
			}
			return at(size), l.note(t, size, "")
		},
		Changed: func() <-chan struct{} { return changed },
	}
	f.Witnesses = addresses[:1]
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { f.Run(ctx); close(ended) }()
	await := func(size uint64) {
		t.Helper()
		signed := l.note(t, size, "")
		for range time.Tick(time.Millisecond) {
			if b := book.Cosigned(signed); len(b) > len(signed) {
				v, err := fnote.NewVerifierForCosignatureV1(w.VerifierKey())
				if err != nil {
					t.Fatal(err)
				}
				if n, err := note.Open(b, note.VerifierList(v)); err != nil || len(n.Sigs) != 1 {
					t.Fatalf("%q: %v", b, err)
				}
				return
			}
			if t.Context().Err() != nil {
				t.Fatal("never cosigned")
			}
		}
	}
	await(10)
	sizes <- 25
	changed <- struct{}{}
	await(25)
	if b := book.Cosigned(l.note(t, 10, "")); !bytes.Equal(b, l.note(t, 10, "")) {
		t.Error("a cosignature stands under another checkpoint")
	}
	cancel()
	<-ended
	a := &asking{Feeder: f, Address: addresses[1]}
	if err := a.ask(t.Context(), at(25), l.note(t, 25, "")); spec.CodeOf(err) != spec.CodeCheckpoint {
		t.Errorf("a false cosignature: %v", err)
	}
}

func TestParseAddress(t *testing.T) {
	w := open(t, t.TempDir())
	for _, bad := range []string{"", w.VerifierKey(), w.VerifierKey() + " ftp://x", "key http://x", w.VerifierKey() + " http://u:p@x/"} {
		if _, err := ParseAddress(bad); spec.CodeOf(err) != spec.CodeConfig {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := Open(Config{Dir: t.TempDir(), Name: "two words"}); spec.CodeOf(err) != spec.CodeConfig {
		t.Error(err)
	}
}

func FuzzAddCheckpoint(f *testing.F) {
	l := newLog(f, origin)
	l.grow(1, 30)
	w := open(f, f.TempDir(), l.vkey)
	f.Add(l.request(f, 0, 9))
	f.Add("old 0\n\n")
	f.Fuzz(func(t *testing.T, body string) {
		if rec := post(w, body); rec.Code >= 500 {
			t.Fatalf("status %d", rec.Code)
		}
	})
}

// The specification lists what is served on the witness's door, and nothing else there.
func TestTheSpecificationListsTheDoor(t *testing.T) {
	text, err := os.ReadFile("../../spec/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	listed := regexp.MustCompile(`(?m)^  (/\S+):\n    (\w+):\n(?:      .*\n)*?      x-doors: \[witness\]$`).FindAllStringSubmatch(string(text), -1)
	if len(listed) != 1 {
		t.Fatalf("the specification lists %q", listed)
	}
	w := httptest.NewRecorder()
	new(Witness).Handler().ServeHTTP(w, httptest.NewRequest(strings.ToUpper(listed[0][2]), listed[0][1], strings.NewReader("")))
	if w.Code != http.StatusBadRequest {
		t.Errorf("an empty request to %q ends with status %d", listed[0][1:], w.Code)
	}
}
