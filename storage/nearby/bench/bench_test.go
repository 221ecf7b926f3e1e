// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"testing"
)

func makeData(t *testing.T, kind string, entries, queries int) (o DataOptions) {
	t.Helper()
	dir := t.TempDir()
	o = DataOptions{Kind: kind, Entries: entries, Queries: queries, Seed: 5, DB: filepath.Join(dir, "db"), QueriesFile: filepath.Join(dir, "queries")}
	if err := Data(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestSearchReportsAndWritesEveryMatch(t *testing.T) {
	for _, kind := range []string{"uniform", "mixed"} {
		d := makeData(t, kind, 20_000, 60)
		so := SearchOptions{DB: d.DB, Queries: d.QueriesFile, Radius: 31, Out: d.DB + ".matches", JSON: true, AddsPerSecond: 1000}
		var out bytes.Buffer
		if err := Search(t.Context(), so, &out); err != nil {
			t.Fatal(err)
		}
		var r SearchReport
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if r.Entries != 20_000 || r.Checked != checkedQueries || r.P50 <= 0 || r.P99 < r.P50 || r.QPSAll <= 0 || r.BytesPerEntry <= 0 || r.Kernel == "" || r.Adding == nil || r.Adding.AddsPerSecond <= 0 {
			t.Fatalf("%s: %+v", kind, r)
		}
		got, want := readLines(t, so.Out), bruteForce(t, d, 31)
		if len(got) != len(want) || len(want) < 30 {
			t.Fatalf("%s: %d matches written, brute force has %d", kind, len(got), len(want))
		}
		for line := range want {
			if !got[line] {
				t.Fatalf("%s: match %s is missing", kind, line)
			}
		}
		out.Reset()
		so.JSON, so.AddsPerSecond = false, 0
		if err := Search(t.Context(), so, &out); err != nil || !bytes.Contains(out.Bytes(), []byte("one query")) {
			t.Fatalf("%v\n%s", err, out.String())
		}
	}
}

func readLines(t *testing.T, name string) map[string]bool {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := map[string]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		lines[s.Text()] = true
	}
	return lines
}

func bruteForce(t *testing.T, d DataOptions, radius int) map[string]bool {
	t.Helper()
	db, err := readRows(t.Context(), d.DB)
	if err != nil {
		t.Fatal(err)
	}
	qs, err := readRows(t.Context(), d.QueriesFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for q := range qs {
		for e := range db {
			n := 0
			for i := range db[e] {
				n += bits.OnesCount8(db[e][i] ^ qs[q][i])
			}
			if n <= radius {
				lines[fmt.Sprintf("%d,%d,%d", q, e, n)] = true
			}
		}
	}
	return lines
}

func TestDataIsTheSameForTheSameSeed(t *testing.T) {
	a, b := makeData(t, "mixed", 30_000, 50), makeData(t, "mixed", 30_000, 50)
	for _, files := range [][2]string{{a.DB, b.DB}, {a.QueriesFile, b.QueriesFile}} {
		x, errX := os.ReadFile(files[0])
		y, errY := os.ReadFile(files[1])
		if errX != nil || errY != nil || len(x) == 0 || !bytes.Equal(x, y) {
			t.Fatal("two runs with one seed differ", errX, errY)
		}
	}
	if n, err := countRows(a.DB); err != nil || n != 30_000 {
		t.Fatalf("%d rows, %v", n, err)
	}
}

func TestPhotosSetHalfOfTheBits(t *testing.T) {
	m := newMixture(DataOptions{Kind: "mixed", Entries: 100, Seed: 1})
	rows := m.chunk(1<<62, 8192)
	half := 0
	for _, h := range rows {
		n := 0
		for _, b := range h {
			n += bits.OnesCount8(b)
		}
		if n == 128 {
			half++
		}
	}
	if half < len(rows)/2 {
		t.Fatalf("%d of %d hashes have 128 bits set; photos are 60 %%", half, len(rows))
	}
}

func TestBadInputIsRefused(t *testing.T) {
	torn := filepath.Join(t.TempDir(), "torn")
	if err := os.WriteFile(torn, make([]byte, 33), 0o600); err != nil {
		t.Fatal(err)
	}
	d := makeData(t, "uniform", 10, 2)
	for name, err := range map[string]error{
		"torn entries":    Search(t.Context(), SearchOptions{DB: torn, Queries: d.QueriesFile}, &bytes.Buffer{}),
		"torn queries":    Search(t.Context(), SearchOptions{DB: d.DB, Queries: torn}, &bytes.Buffer{}),
		"no such file":    Search(t.Context(), SearchOptions{DB: d.DB + "x", Queries: d.QueriesFile}, &bytes.Buffer{}),
		"unknown kind":    Data(t.Context(), DataOptions{Kind: "x", Entries: 1}),
		"no entries":      Data(t.Context(), DataOptions{Kind: "uniform"}),
		"no exact keys":   Exact(t.Context(), ExactOptions{}, &bytes.Buffer{}),
		"torn exact keys": Exact(t.Context(), ExactOptions{DB: torn}, &bytes.Buffer{}),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestExactReports(t *testing.T) {
	d := makeData(t, "uniform", 5000, 2)
	for name, o := range map[string]ExactOptions{
		"made up":   {Entries: 5000, JSON: true, AddsPerSecond: 1000},
		"from file": {DB: d.DB, JSON: true},
	} {
		var out bytes.Buffer
		if err := Exact(t.Context(), o, &out); err != nil {
			t.Fatal(name, err)
		}
		var r ExactReport
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(name, err)
		}
		if r.Entries != 5000 || r.Checked != 10_000 || r.HitNS <= 0 || r.BatchMissNS <= 0 || (o.AddsPerSecond > 0) != (r.AddingHitNS > 0) {
			t.Fatalf("%s: %+v", name, r)
		}
	}
}
