// SPDX-License-Identifier: Apache-2.0

package text

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlsh"
)

var limits = extract.Limits{MaxTextSize: 1 << 20}

func source(t *testing.T, content string) extract.Source {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	return extract.Source{File: f, Size: int64(len(content))}
}

// prose returns words that no two seeds share much of.
func prose(seed uint64, words int) string {
	r := rand.New(rand.NewPCG(seed, seed))
	var b strings.Builder
	for i := range words {
		if i > 0 {
			b.WriteString([]string{" ", " ", " ", ", ", ".\n"}[r.IntN(5)])
		}
		for range 2 + r.IntN(4) {
			b.WriteString([]string{"ba", "re", "no", "sti", "ku", "mel", "dor", "fa", "chi", "ul"}[r.IntN(10)])
		}
	}
	return b.String()
}

// value returns the signal of a type, "" if it is missing.
func value(res extract.Result, name string) string {
	i := slices.IndexFunc(res.Signals, func(s extract.Signal) bool { return s.Type == name })
	if i < 0 {
		return ""
	}
	return res.Signals[i].Value
}

func raw(text string) string    { h, _ := tlsh.SumText(text); return h.String() }
func normal(text string) string { h, _ := tlsh.SumNormal(text); return h.String() }

func TestPlainText(t *testing.T) {
	text := prose(1, 200) + " École"
	utf16 := func(order func(hi, lo byte) []byte) string {
		b := order(0xfe, 0xff)
		for _, r := range text {
			b = append(b, order(byte(r>>8), byte(r))...)
		}
		return string(b)
	}
	for name, c := range map[string]struct{ content, format string }{
		"utf-8":     {text, "utf-8"},
		"with mark": {"\xef\xbb\xbf" + text, "utf-8"},
		"big":       {utf16(func(hi, lo byte) []byte { return []byte{hi, lo} }), "utf-16"},
		"little":    {utf16(func(hi, lo byte) []byte { return []byte{lo, hi} }), "utf-16"},
	} {
		format, ok := Plain{}.Claim([]byte(c.content)[:min(len(c.content), 101)], "")
		if !ok || format != c.format {
			t.Errorf("%s: claimed %v as %q", name, ok, format)
		}
		res, err := Plain{}.Extract(t.Context(), source(t, c.content), limits)
		if err != nil || value(res, Raw) != raw(text) || value(res, Normal) != normal(text) || len(res.Unsupported) != 0 {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
}

func TestPlainTextRefusals(t *testing.T) {
	for name, head := range map[string]string{
		"empty": "", "a zero": "text\x00", "a control": "text\x01", "latin-1": "caf\xe9 au lait", "cut early": "\xc3", "utf-16 without text": "\xff\xfe\x00\x00",
	} {
		if format, ok := (Plain{}).Claim([]byte(head), ""); ok && name != "cut early" {
			t.Errorf("%s: claimed as %q", name, format)
		}
	}
	if _, ok := (Plain{}).Claim([]byte("cut within a charact\xc3"), ""); !ok {
		t.Error("a head that ends within a character is not claimed")
	}
	for name, c := range map[string]struct {
		content string
		code    spec.Code
	}{
		"not text later": {strings.Repeat("a", 5000) + "\xff", spec.CodeMalformed},
		"too long":       {strings.Repeat("a", 1<<20+1), spec.CodeTooLarge},
	} {
		if res, err := (Plain{}).Extract(t.Context(), source(t, c.content), limits); spec.CodeOf(err) != c.code {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
	res, err := Plain{}.Extract(t.Context(), source(t, "a short text"), limits)
	want := []extract.Unsupported{{Type: Raw, Code: spec.CodeSignal}, {Type: Normal, Code: spec.CodeSignal}}
	if err != nil || len(res.Signals) != 0 || !slices.Equal(res.Unsupported, want) {
		t.Errorf("a short text: %+v, %v", res, err)
	}
}

func FuzzPlain(f *testing.F) {
	f.Add([]byte("text\xc3"))
	f.Add([]byte("\xff\xfea\x00b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		format, ok := Plain{}.Claim(b, "")
		if _, again := (Plain{}).Claim(append(slices.Clone(b), 0, 0), ""); ok && again && format == "utf-8" {
			t.Fatalf("%q is claimed with zeros behind it", b)
		}
		if _, err := decode(b); err != nil && ok {
			t.Fatalf("%q is claimed and cannot be decoded: %v", b, err)
		}
	})
}
