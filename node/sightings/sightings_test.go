// SPDX-License-Identifier: Apache-2.0

package sightings

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/spec"
)

// clock is a time that tests move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time    { return c.t }
func (c *clock) days(n int)        { c.t = c.t.Add(time.Duration(n) * 24 * time.Hour) }
func sha(b byte) spec.Signal       { return spec.Signal{Type: "sha256", Value: bytes.Repeat([]byte{b}, 32)} }
func pdq(flips ...int) spec.Signal { return spec.Signal{Type: "pdq", Value: flipped(flips)} }

func flipped(flips []int) []byte {
	v := bytes.Repeat([]byte{0x5a}, 32)
	for _, i := range flips {
		v[i/8] ^= 1 << (i % 8)
	}
	return v
}

func open(t *testing.T, dir string, days int, c *clock) *Store {
	t.Helper()
	s, err := Open(dir, days, c.now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func record(t *testing.T, s *Store, signals ...spec.Signal) {
	t.Helper()
	if err := s.Record(signals); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, s *Store, m *Matcher, want ...uint64) {
	t.Helper()
	if got, err := s.Hits(t.Context(), m); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}

func matcher() *Matcher {
	m := NewMatcher(3)
	m.Add(0, sha(1))
	m.Add(0, pdq())
	m.Add(1, sha(2))
	m.Add(2, pdq(0))
	return m
}

func first(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// An upload counts once for each item that it matches, however many of its signals
// do, and perceptual hashes match within their threshold.
func TestUploadsAreCountedByItem(t *testing.T) {
	c := &clock{time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	dir := filepath.Join(t.TempDir(), "sightings")
	s := open(t, dir, 7, c)
	record(t, s, sha(1), pdq())             // items 0 and 2
	record(t, s, sha(2))                    // item 1
	record(t, s, pdq(first(31)...))         // items 0 and 2, at 31 and 30
	record(t, s, pdq(first(32)...))         // item 2 alone, at 31
	record(t, s, pdq(first(40)...), sha(9)) // none
	expect(t, s, matcher(), 2, 1, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	expect(t, open(t, dir, 7, c), matcher(), 2, 1, 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, filepath.Join(t.TempDir(), "x"), 7, c).Hits(ctx, matcher()); err != nil {
		t.Errorf("nothing to look at: %v", err)
	}
}

// What is older than the days that it is kept is counted no more, and leaves the
// files; switched off, everything does.
func TestSightingsAreForgotten(t *testing.T) {
	c := &clock{time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	dir := filepath.Join(t.TempDir(), "sightings")
	s := open(t, dir, 2, c)
	old := spec.Signal{Type: "sha256", Value: []byte("an old value of thirty-two bytes")}
	m := NewMatcher(1)
	m.Add(0, old)
	record(t, s, old)
	c.days(1)
	record(t, s, sha(1))
	expect(t, s, m, 1)
	c.days(1)
	expect(t, s, m, 0)
	if err := s.Expire(); err != nil {
		t.Fatal(err)
	}
	if s.total != 1 {
		t.Errorf("%d uploads are left", s.total)
	}
	expect(t, s, matcher(), 1, 0, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s := open(t, dir, 0, c); s != nil {
		t.Error("switched off, there is a store")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("switched off, the files are there: %v", err)
	}
	var off *Store
	record(t, off, sha(1))
	expect(t, off, matcher(), 0, 0, 0)
}

// Full, the store gives up the oldest days, and then keeps nothing new.
func TestSightingsAreBounded(t *testing.T) {
	c := &clock{time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	s := open(t, filepath.Join(t.TempDir(), "sightings"), 7, c)
	s.max = 4
	for range 3 {
		record(t, s, sha(1))
	}
	c.days(1)
	for range 6 {
		record(t, s, sha(2))
	}
	expect(t, s, matcher(), 0, 4, 0)
}

func TestListOfLawfulContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lawful.txt")
	if list, found, err := ReadLawful(path); list != nil || found || err != nil {
		t.Errorf("without a file: %v, %v, %v", list, found, err)
	}
	text := "# news\nsha256 " + strings.Repeat("01", 32) + "\n\npdq " + strings.Repeat("5a", 32) + " # a logo\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	list, found, err := ReadLawful(path)
	if err != nil || !found || len(list) != 2 {
		t.Fatalf("%v, %v, %v", list, found, err)
	}
	if got := matcher().Matches(list); !slices.Equal(got, []uint64{2, 0, 1}) {
		t.Errorf("matches %v", got)
	}
	for _, wrong := range []string{"sha256", "sha256 zz", "nothing 00", "sha256 00"} {
		if _, err := parseLawful(strings.NewReader("\n" + wrong)); spec.CodeOf(err) != spec.CodeConfig || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func FuzzLawful(f *testing.F) {
	f.Add("sha256 " + strings.Repeat("01", 32))
	f.Add("# only a comment")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseLawful(strings.NewReader(text))
		if err == nil && len(list) > strings.Count(text, "\n")+1 {
			t.Errorf("%d values in %q", len(list), text)
		}
	})
}
