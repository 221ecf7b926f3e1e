// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tocsin-db/tocsin/storage/nearby"
	"github.com/tocsin-db/tocsin/storage/nearby/bench"
)

const radius = 31

// What the field's tools take where they cannot run here: measured elsewhere,
// on another machine.
const (
	recordedAddMicros    = 170_000   // python-threatexchange, one add at 1 M
	recordedFramesMicros = 2_001_000 // hasher-matcher-actioner, 300 frames at 1 M
)

func compareSearch(ctx context.Context, c config, t *table) error {
	data := bench.DataOptions{Kind: c.kind, Entries: c.entries, Queries: c.queries, Seed: c.seed, DB: c.file("db"), QueriesFile: c.file("queries")}
	if err := bench.Data(ctx, data); err != nil {
		return err
	}
	kernels := nearby.Kernels()[:1]
	if c.kernels {
		kernels = nearby.Kernels()
	}
	var reports []bench.SearchReport
	for i, k := range kernels {
		r, err := runTocsin(ctx, c, k, i == 0)
		if err != nil {
			return err
		}
		reports = append(reports, r)
	}
	peer, err := runFaiss(ctx, c, radius)
	if errors.Is(err, errMissing) {
		t.note("faiss: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	matches, err := compareMatches(c.file("matches"), c.file("faiss.matches"), c.peerQueries)
	if err != nil {
		return err
	}
	printSearch(c, t, reports, peer)
	t.note("answers: %d matches of the first %d queries are the same; %d queries checked against brute force", matches, c.peerQueries, reports[0].Checked)
	return nil
}

func runTocsin(ctx context.Context, c config, kernel string, matches bool) (r bench.SearchReport, err error) {
	o := bench.SearchOptions{DB: c.file("db"), Queries: c.file("queries"), Radius: radius, JSON: true, Kernel: kernel, AddsPerSecond: 1000}
	if matches {
		o.Out = c.file("matches")
	}
	var out bytes.Buffer
	if err := bench.Search(ctx, o, &out); err != nil {
		return r, err
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return r, fmt.Errorf("reading the report: %w", err)
	}
	return r, nil
}

func printSearch(c config, t *table, reports []bench.SearchReport, peer faissReport) {
	multi := fmt.Sprintf("faiss %s MultiHash(256,16,16) nflip 1, same run", peer.Version)
	at := fmt.Sprintf("%s entries, %s", short(c.entries), c.kind)
	for _, r := range reports {
		t.row("PDQ radius 31 p50, "+r.Kernel+", "+at, r.P50, peer.P50, "µs", multi)
	}
	r := reports[0]
	t.row("PDQ radius 31 p99, "+r.Kernel+", "+at, r.P99, peer.P99, "µs", multi)
	t.row("the same, the thread's own time, p50", r.CPU50, peer.CPU50, "µs", multi+": without what other programs took")
	t.row("the same, the thread's own time, p99", r.CPU99, peer.CPU99, "µs", multi+": without what other programs took")
	t.row("PDQ radius 31 mean, "+r.Kernel+", "+at, r.Mean, peer.Mean, "µs", multi)
	t.row("against a flat scan, p50", r.P50, peer.FlatP50, "µs", "faiss "+peer.Version+" Flat, same run")
	t.row("memory per entry", r.BytesPerEntry, peer.BytesPerEntry, "B", multi)
	t.row("build", r.BuildSeconds, peer.BuildSeconds, "s", multi)
	t.row("live add p50, one after the other", r.Adding.BurstP50, peer.AddP50, "µs", multi+", not searchable by its users until a rebuild")
	t.row("live add p50, one after the other", r.Adding.BurstP50, recordedAddMicros, "µs", "python-threatexchange at 1 M, recorded elsewhere")
	frames := 300e6 / r.QPSBatch
	t.row("300 frames in one batch", frames, peer.Flat300, "µs", "faiss "+peer.Version+" Flat in one call, one thread, same run")
	t.row("300 frames in one batch", frames, recordedFramesMicros, "µs", "hasher-matcher-actioner at 1 M, recorded elsewhere")
	t.note("the memory floor: %.0f lines in %.0f runs of the median query take %.1f µs at this machine's rate (%.1f ns a run, %.1f ns a line); p50 is %.2f times that", r.LinesPerQuery, r.RunsPerQuery, r.FloorMicros, r.RunNanos, r.LineNanos, r.FromFloor)
	t.note("one add after the other: p50 %.2f µs, p99 %.2f µs, longest %.0f µs", r.Adding.BurstP50, r.Adding.BurstP99, r.Adding.BurstMax)
	t.note("while %.0f adds/s arrive: p50 %.1f µs, p99 %.1f µs (quiet: %.1f, %.1f); an add p50 %.2f µs, p99 %.2f µs",
		r.Adding.AddsPerSecond, r.Adding.P50, r.Adding.P99, r.P50, r.P99, r.Adding.AddP50, r.Adding.AddP99)
}

func short(n int) string {
	switch {
	case n >= 1_000_000:
		return fmt.Sprintf("%.3g M", float64(n)/1e6)
	case n >= 1000:
		return fmt.Sprintf("%.3g k", float64(n)/1e3)
	default:
		return fmt.Sprint(n)
	}
}
