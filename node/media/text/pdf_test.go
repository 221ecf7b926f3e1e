// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/node/media/sandbox"
	"github.com/tocsin-db/tocsin/spec"
)

// A builder makes a PDF file with a text on each page, an operator a line.
type builder struct {
	compress bool
	claim    int    // pages that the document says it has, 0: the truth
	extra    string // put into the trailer
}

func (b builder) build(pages ...string) string {
	var out bytes.Buffer
	var offsets []int
	object := func(body string) {
		offsets = append(offsets, out.Len())
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", len(offsets), body)
	}
	out.WriteString("%PDF-1.4\n")
	object("<< /Type /Catalog /Pages 2 0 R >>")
	var kids strings.Builder
	for i := range pages {
		fmt.Fprintf(&kids, "%d 0 R ", 4+2*i)
	}
	count := b.claim
	if count == 0 {
		count = len(pages)
	}
	object(fmt.Sprintf("<< /Type /Pages /Count %d /Kids [ %s] >>", count, kids.String()))
	object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
	for i, p := range pages {
		object(fmt.Sprintf("<< /Type /Page /Parent 2 0 R /Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>", 5+2*i))
		object(b.stream(p))
	}
	start := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, o := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&out, "trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, b.extra, start)
	return out.String()
}

func (b builder) stream(text string) string {
	var s bytes.Buffer
	s.WriteString("BT /F1 12 Tf 72 720 Td\n")
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(&s, "(%s) Tj 0 -14 Td\n", strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(line))
	}
	s.WriteString("ET")
	if !b.compress {
		return fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", s.Len(), s.String())
	}
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write(s.Bytes())
	w.Close()
	return fmt.Sprintf("<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream", z.Len(), z.String())
}

func TestPDF(t *testing.T) {
	one, two := prose(2, 150), prose(3, 150)
	want := normal(one + two)
	plain := builder{}.build(one, two)
	for name, content := range map[string]string{
		"plain":          plain,
		"compressed":     builder{compress: true}.build(one, two),
		"version 2":      strings.Replace(plain, "%PDF-1.4", "%PDF-2.0", 1),
		"blank after it": strings.Replace(plain, "%PDF-1.4\n", "%PDF-1.4 ", 1),
		"bytes before":   "\r\n\r\njunk\n" + plain,
		"bytes behind":   plain + strings.Repeat("\x00", 1000) + "more",
	} {
		format, ok := PDF{}.Claim([]byte(content), "")
		if !ok || format != "pdf" {
			t.Errorf("%s: claimed %v as %q", name, ok, format)
		}
		res, err := PDF{}.Extract(t.Context(), source(t, content), limits)
		if err != nil || value(res, Normal) != want || value(res, Raw) == "" || len(res.Unsupported) != 0 {
			t.Errorf("%s: %+v, %v; want %s", name, res, err, want)
		}
	}
	// What a document says is found by its words, in whatever file they stand.
	text, err := Plain{}.Extract(t.Context(), source(t, strings.ToUpper(one+"\n\n"+two)), limits)
	if err != nil || value(text, Normal) != want {
		t.Errorf("the same words as plain text: %+v, %v", text, err)
	}
}

func TestPDFInPart(t *testing.T) {
	one, two := prose(4, 150), prose(5, 150)
	whole := builder{}.build(one, two)
	for name, c := range map[string]struct {
		content string
		want    string
	}{
		"a page that cannot be read": {strings.Replace(whole, "BT /F1 12 Tf", "BT 1 2 3 Tf ", 1), normal(two)},
		"fewer pages than it says":   {builder{claim: 1 << 30}.build(one, two), normal(one + two)},
	} {
		res, err := PDF{}.Extract(t.Context(), source(t, c.content), limits)
		inPart := []extract.Unsupported{{Type: Raw, Code: spec.CodeMalformed}, {Type: Normal, Code: spec.CodeMalformed}}
		if err != nil || value(res, Normal) != c.want || !slices.Equal(res.Unsupported, inPart) {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
}

func TestPDFRefusals(t *testing.T) {
	whole := builder{}.build(prose(6, 150))
	for name, c := range map[string]struct {
		content string
		code    spec.Code
	}{
		"header only":       {"%PDF-1.4\n", spec.CodeMalformed},
		"half":              {whole[:len(whole)/2], spec.CodeMalformed},
		"no cross table":    {strings.Replace(whole, "xref\n0", "ferx\n0", 1), spec.CodeMalformed},
		"root is itself":    {strings.Replace(whole, "/Root 1 0 R", "/Root 9 0 R", 1), ""},
		"pages in a circle": {strings.Replace(whole, "/Kids [ 4 0 R ]", "/Kids [ 2 0 R ]", 1), spec.CodeTooLarge},
		"encrypted": {builder{extra: "/Encrypt << /Filter /Standard /V 1 /R 2 /P -1 /O (" + strings.Repeat("x", 32) + ") /U (" + strings.Repeat("y", 32) +
			") >> /ID [(a) (b)]"}.build("x"), spec.CodeUnsupported},
		"too much text":  {builder{compress: true}.build(strings.Repeat(prose(7, 500)+"\n", 400)), spec.CodeTooLarge},
		"too many pages": {builder{}.build(slices.Repeat([]string{"x"}, maxPages+1)...), spec.CodeTooLarge},
	} {
		res, err := PDF{}.Extract(t.Context(), source(t, c.content), limits)
		if spec.CodeOf(err) != c.code || len(res.Signals) != 0 {
			t.Errorf("%s: %+v, %v; want %q", name, res, err, c.code)
		}
		if c.code == "" && len(res.Unsupported) != 2 {
			t.Errorf("%s: %+v", name, res)
		}
	}
	if _, ok := (PDF{}).Claim([]byte("a text about %PD"), ""); ok {
		t.Error("a text is claimed")
	}
}

// The reader spins on some documents, so it is fuzzed where it runs: in a child
// that is ended. Whatever it reads, an answer or an end must come.
func FuzzPDF(f *testing.F) {
	if !sandbox.Available() {
		f.Skip("child processes cannot be confined on this platform")
	}
	f.Add([]byte(builder{}.build("some text", "more")))
	f.Add([]byte(builder{compress: true}.build("some text")))
	f.Add([]byte(strings.Replace(builder{}.build("some text"), "(some text) Tj", "<some text> Tj<", 1)))
	pool := sandbox.NewPool(sandbox.Config{Memory: 64 << 20})
	f.Cleanup(pool.Close)
	f.Fuzz(func(t *testing.T, b []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		answer, err := pool.Do(ctx, nil, source(t, string(b)).File)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, sandbox.ErrMemory) && !errors.Is(err, sandbox.ErrDied) {
				t.Fatal(err)
			}
			return
		}
		if string(answer) != "complete" && !slices.Contains([]spec.Code{spec.CodeMalformed, spec.CodeUnsupported, spec.CodeTooLarge}, spec.Code(answer)) {
			t.Fatalf("answer %q", answer)
		}
	})
}

func TestMain(m *testing.M) {
	sandbox.RunChild(func(_ []byte, file *os.File) []byte {
		info, err := file.Stat()
		if err != nil {
			return nil
		}
		res, err := PDF{}.Extract(context.Background(), extract.Source{File: file, Size: info.Size()}, limits)
		if err == nil && len(res.Signals)+len(res.Unsupported) >= 2 {
			return []byte("complete")
		}
		return []byte(spec.CodeOf(err))
	})
	os.Exit(m.Run())
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte("junk %PDF-1.4\nbody\n%%EOF\njunk"), 3, 20)
	f.Add([]byte("%PDF-"), 0, 10)
	f.Fuzz(func(t *testing.T, b []byte, at, n int) {
		d := newDocument(bytes.NewReader(b), int64(len(b)))
		if d.start < 0 || d.size < 0 || d.start+d.size > int64(len(b)) {
			t.Fatalf("%q: %d bytes from %d", b, d.size, d.start)
		}
		want := slices.Clone(b[d.start:][:d.size])
		copy(want, header)
		p := make([]byte, min(max(n, 0), 1<<16))
		got, err := d.ReadAt(p, int64(at))
		switch {
		case at < 0 || at >= len(want):
			if got != 0 || err != io.EOF {
				t.Fatalf("at %d of %d: %d, %v", at, len(want), got, err)
			}
		case !bytes.Equal(p[:got], want[at:][:min(len(p), len(want)-at)]), got < len(p) && err != io.EOF:
			t.Fatalf("at %d: %q, %v; want %q", at, p[:got], err, want[at:])
		}
	})
}
