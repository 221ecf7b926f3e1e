// SPDX-License-Identifier: Apache-2.0

package tlsh

import (
	"bytes"
	"encoding/csv"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

func rows(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 2 {
		t.Fatalf("%s holds no rows", name)
	}
	return all[1:]
}

func text(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSumOfEveryVector(t *testing.T) {
	for _, row := range rows(t, "expected.csv") {
		got, err := Sum(text(t, row[0]))
		switch {
		case row[1] == "":
			if spec.CodeOf(err) != spec.CodeSignal {
				t.Errorf("%s: has %v, %v; want no hash", row[0], got, err)
			}
		case err != nil || got.String() != row[1]:
			t.Errorf("%s: %v, %v; want %s", row[0], got, err, row[1])
		}
	}
}

func TestDistancesOfEveryVector(t *testing.T) {
	hashes := map[string]Hash{}
	for _, row := range rows(t, "expected.csv") {
		if row[1] == "" {
			continue
		}
		h, err := Parse(row[1])
		if err != nil {
			t.Fatal(err)
		}
		hashes[strings.TrimSuffix(row[0], ".txt")] = h
	}
	for _, row := range rows(t, "distances.csv") {
		a, b := hashes[row[0]], hashes[row[1]]
		diff, _ := strconv.Atoi(row[2])
		diffxlen, _ := strconv.Atoi(row[3])
		for _, p := range [][2]Hash{{a, b}, {b, a}} {
			if p[0].Diff(p[1]) != diff || p[0].DiffXLen(p[1]) != diffxlen {
				t.Errorf("%s, %s: diff %d, diffxlen %d; want %d, %d",
					row[0], row[1], p[0].Diff(p[1]), p[0].DiffXLen(p[1]), diff, diffxlen)
			}
		}
		if a.Match(b) != (diffxlen <= 30) {
			t.Errorf("%s, %s at %d: Match = %v", row[0], row[1], diffxlen, a.Match(b))
		}
	}
}

func TestReasonsForNoHash(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	noise := make([]byte, MinLen)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	short := Hasher{AllowShort: true}
	for _, c := range []struct {
		name string
		h    Hasher
		text []byte
		want error
	}{
		{"long enough", Hasher{}, noise, nil},
		{"one byte less", Hasher{}, noise[1:], ErrTooShort},
		{"short and allowed", short, noise[:MinShortLen], nil},
		{"short, one byte less", short, noise[:MinShortLen-1], ErrTooShort},
		{"two letters repeated", Hasher{}, bytes.Repeat([]byte("ab"), 5000), ErrTooUniform},
		{"past the last length class", Hasher{n: MaxLen}, []byte("a"), ErrTooLong},
	} {
		c.h.Write(c.text)
		if _, err := c.h.Sum(); !errors.Is(err, c.want) || c.want != nil && spec.CodeOf(err) != spec.CodeSignal {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	short.Write(noise)
	short.Reset()
	if !short.AllowShort {
		t.Error("Reset takes the option back")
	}
}

// A text has a hash from 65 filled buckets on.
func TestUniformityBound(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	seen := map[int]bool{}
	for range 3000 {
		text := make([]byte, MinLen)
		letters := 3 + r.IntN(2)
		for i := range text {
			text[i] = "abcdefghijk"[r.IntN(letters)&r.IntN(letters)]
		}
		var h Hasher
		h.Write(text)
		filled := 0
		for _, c := range h.counts[:buckets] {
			if c != 0 {
				filled++
			}
		}
		seen[filled] = true
		if _, err := h.Sum(); errors.Is(err, ErrTooUniform) != (filled <= 64) {
			t.Fatalf("%d buckets are filled: %v", filled, err)
		}
	}
	if !seen[64] || !seen[65] {
		t.Fatalf("no text came close to the bound, only %v buckets: this test shows nothing", seen)
	}
}

func TestPortionsDoNotMatter(t *testing.T) {
	data := text(t, "long.txt")
	want, _ := Sum(data)
	r := rand.New(rand.NewPCG(2, 2))
	var h Hasher
	for range 20 {
		for rest := data; len(rest) > 0; {
			n := min(len(rest), r.IntN(9000)/(1+r.IntN(3000)))
			h.Write(rest[:n])
			rest = rest[n:]
		}
		if got, err := h.Sum(); err != nil || got != want {
			t.Fatalf("%v, %v; want %v", got, err, want)
		}
		h.Reset()
	}
}

// The bounds were made with single-precision logarithms; double precision
// finds the same class for every length but those at a rounded bound.
func TestLengthBoundsFollowTheFormula(t *testing.T) {
	for i, bound := range lengthBounds {
		var below float64
		switch n := float64(bound); {
		case i <= 15:
			below = math.Log(n) / math.Log(1.5)
		case i <= 21:
			below = math.Log(n)/math.Log(1.3) - 8.72777
		default:
			below = math.Log(n)/math.Log(1.1) - 62.5472
		}
		if got := below - float64(i); got < 0 || got > 1.0001 {
			t.Errorf("class %d ends at %d, which the formula puts at %f", i, bound, below)
		}
		if lengthClass(uint64(bound)) != byte(i) || i > 0 && lengthClass(uint64(lengthBounds[i-1])+1) != byte(i) {
			t.Errorf("class %d does not span %d to %d", i, lengthBounds[max(i-1, 0)]+1, bound)
		}
	}
}

func TestPermutationIsOne(t *testing.T) {
	var seen [256]bool
	for _, v := range permutation {
		seen[v] = true
	}
	for v, ok := range seen {
		if !ok {
			t.Errorf("%d is missing", v)
		}
	}
	salts := []byte{salt0, salt2, salt3, salt5, salt7, salt11, salt13}
	for i, n := range []int{0, 2, 3, 5, 7, 11, 13} {
		if salts[i] != permutation[n] {
			t.Errorf("salt %d is %d, not %d", n, salts[i], permutation[n])
		}
	}
}

func FuzzSum(f *testing.F) {
	f.Add(bytes.Repeat([]byte("tocsin "), 20), 3)
	f.Add([]byte("Le tocsin est la cloche que toute la ville entend, quel que soit"), 50)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		want, err := Sum(data)
		cut = min(max(cut, 0), len(data))
		h := Hasher{AllowShort: cut%2 == 0}
		h.Write(data[:cut])
		h.Write(data[cut:])
		got, err2 := h.Sum()
		if err == nil && (got != want || err2 != nil) {
			t.Fatalf("cut at %d: %v, %v; want %v", cut, got, err2, want)
		}
		if err2 == nil && len(data) < MinShortLen {
			t.Fatalf("%d bytes have a hash", len(data))
		}
		if err == nil && len(data) < MinLen {
			t.Fatalf("%d bytes have a hash", len(data))
		}
	})
}

func BenchmarkSum(b *testing.B) {
	data, err := os.ReadFile("testdata/long.txt")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		Sum(data)
	}
}
