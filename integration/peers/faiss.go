// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sort"
	"strconv"
)

//go:embed faiss.py
var faissScript string

// errMissing says that a peer is not installed.
var errMissing = errors.New("not installed")

type faissReport struct {
	Version       string  `json:"version"`
	BuildSeconds  float64 `json:"build_seconds"`
	BytesPerEntry float64 `json:"bytes_per_entry"`
	P50           float64 `json:"p50_us"`
	P99           float64 `json:"p99_us"`
	Mean          float64 `json:"mean_us"`
	CPU50         float64 `json:"p50_cpu_us"`
	CPU99         float64 `json:"p99_cpu_us"`
	AddP50        float64 `json:"add_p50_us"`
	FlatP50       float64 `json:"flat_p50_us"`
	Flat300       float64 `json:"flat_300_us"`
}

// runFaiss has faiss answer the first queries of the file.
func runFaiss(ctx context.Context, c config, radius int) (r faissReport, err error) {
	python, err := pythonWithFaiss(ctx)
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, python, "-c", faissScript, c.file("db"), c.file("queries"),
		strconv.Itoa(c.peerQueries), strconv.Itoa(radius), c.file("faiss.matches"))
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "OMP_NUM_THREADS=1")
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("running faiss: %w", err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("reading what faiss measured: %w", err)
	}
	return r, nil
}

// pythonWithFaiss finds an interpreter that has faiss: Debian's package is for
// the system's own.
func pythonWithFaiss(ctx context.Context) (string, error) {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(ctx, python, "-c", "import faiss, numpy").Run() == nil {
			return python, nil
		}
	}
	return "", fmt.Errorf("python3-faiss: %w", errMissing)
}

// compareMatches fails unless both files name the same matches for the first
// queries.
func compareMatches(ours, theirs string, queries int) (matches int, err error) {
	a, err := sortedLines(ours, queries)
	if err != nil {
		return 0, err
	}
	b, err := sortedLines(theirs, queries)
	if err != nil {
		return 0, err
	}
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return 0, fmt.Errorf("the answers differ: tocsin has %q where the peer has %q", a[i], b[i])
		}
	}
	if len(a) != len(b) {
		return 0, fmt.Errorf("the answers differ: %d matches, the peer has %d", len(a), len(b))
	}
	return len(a), nil
}

func sortedLines(name string, queries int) (lines []string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading matches: %w", err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		q, _, _ := bytes.Cut(s.Bytes(), []byte(","))
		if n, err := strconv.Atoi(string(q)); err == nil && n < queries {
			lines = append(lines, s.Text())
		}
	}
	sort.Strings(lines)
	return lines, s.Err()
}
