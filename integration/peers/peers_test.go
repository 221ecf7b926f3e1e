// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "matches")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestMatchesAreComparedForTheFirstQueries(t *testing.T) {
	ours := write(t, "0,5,3\n0,2,1\n1,9,31\n2,1,1\n")
	for _, c := range []struct {
		theirs string
		same   bool
	}{
		{"0,2,1\n1,9,31\n0,5,3\n", true},
		{"0,2,1\n1,9,31\n", false},
		{"0,2,1\n1,9,30\n0,5,3\n", false},
		{"0,2,1\n1,9,31\n0,5,3\n1,10,2\n", false},
	} {
		n, err := compareMatches(ours, write(t, c.theirs), 2)
		if (err == nil) != c.same || c.same && n != 3 {
			t.Errorf("%q: %d matches, %v", c.theirs, n, err)
		}
	}
}

func TestRowsThroughTheSocketOfANode(t *testing.T) {
	s, err := startNode(t.Context(), 500)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, n := range []int{1, 1000, 20_000} {
		keys, out := make([][32]byte, n), make([]byte, n)
		for i := range keys {
			keys[i] = s.filled.Digest(i)
		}
		if err := s.ask(keys, out); err != nil {
			t.Fatal(n, err)
		}
		listed := min(n, 500)
		if want := append(bytes.Repeat([]byte{1}, listed), make([]byte, n-listed)...); !bytes.Equal(out, want) {
			t.Fatal(n, "wrong answers")
		}
	}
}

func TestRatioIsHowManyTimesLess(t *testing.T) {
	var out strings.Builder
	(&table{out: &out}).row("a thing", 2, 3000, "µs", "a peer")
	for _, want := range []string{"a thing", "2 µs", "3000 µs", "1500.0×", "a peer"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q lacks %q", out.String(), want)
		}
	}
}
