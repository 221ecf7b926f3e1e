// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
)

// Plain implements extract.Extractor for plain text: UTF-8, or UTF-16 with a
// byte order mark.
type Plain struct{}

// Kind is Text.
func (Plain) Kind() string { return extract.Text }

// Types lists the types of texts.
func (Plain) Types() []string { return Types() }

// Trusted is false.
func (Plain) Trusted() bool { return false }

const (
	mark8    = "\xef\xbb\xbf"
	mark16le = "\xff\xfe"
	mark16be = "\xfe\xff"
)

// Claim recognises text by what it lacks: bytes that no text has. It should be
// asked last.
func (Plain) Claim(head []byte, _ string) (string, bool) {
	if bytes.HasPrefix(head, []byte(mark16le)) || bytes.HasPrefix(head, []byte(mark16be)) {
		if s, err := decode(head[:len(head)&^1]); err == nil && plausible([]byte(s)) {
			return "utf-16", true
		}
		return "", false
	}
	return "utf-8", plausible(head)
}

// plausible reports whether head begins a text. Its last character may be cut.
func plausible(head []byte) bool {
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		switch {
		case r == utf8.RuneError && n == 1:
			return !utf8.FullRune(head)
		case r < ' ' && !bytes.ContainsRune([]byte("\t\n\v\f\r\x1b"), r), r == 0x7f:
			return false
		case n == len(head):
			return true
		}
		head = head[n:]
	}
	return false
}

// Extract hashes the whole text. One that is not valid throughout gives spec.CodeMalformed.
func (Plain) Extract(_ context.Context, src extract.Source, lim extract.Limits) (extract.Result, error) {
	if src.Size > lim.MaxTextSize {
		return extract.Result{}, errTooLarge(lim.MaxTextSize)
	}
	b, err := io.ReadAll(io.LimitReader(src.Reader(), lim.MaxTextSize))
	if err != nil {
		return extract.Result{}, fmt.Errorf("reading the text: %w", err)
	}
	s, err := decode(b)
	if err != nil || !utf8.ValidString(s) {
		return extract.Result{}, spec.Errorf(spec.CodeMalformed, "the file is not text throughout")
	}
	return signals(s), nil
}

// decode brings a text to UTF-8 and drops its byte order mark.
func decode(b []byte) (string, error) {
	d := unicode.BOMOverride(transform.Nop)
	out, _, err := transform.Bytes(d, b)
	return string(out), err
}
