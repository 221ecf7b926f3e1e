// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
)

func (r *SearchReport) write(out io.Writer, asJSON bool) error {
	if asJSON {
		return writeJSON(out, r)
	}
	rows := [][2]string{
		{"entries", fmt.Sprint(r.Entries)},
		{"queries", fmt.Sprintf("%d at radius %d, %d matches", r.Queries, r.Radius, r.Matches)},
		{"kernel", r.Kernel},
		{"build", fmt.Sprintf("%.2f s", r.BuildSeconds)},
		{"memory", fmt.Sprintf("%.1f bytes per entry", r.BytesPerEntry)},
		{"one query", fmt.Sprintf("p50 %.2f µs, p99 %.2f µs, mean %.2f µs", r.P50, r.P99, r.Mean)},
		{"its own time", fmt.Sprintf("p50 %.2f µs, p99 %.2f µs, mean %.2f µs of the processor", r.CPU50, r.CPU99, r.CPUMean)},
		{"memory floor", fmt.Sprintf("%.2f µs for the median query's %.0f cache lines in %.0f runs at %.1f ns a run, %.1f ns a line; p50 is %.2f times that",
			r.FloorMicros, r.LinesPerQuery, r.RunsPerQuery, r.RunNanos, r.LineNanos, r.FromFloor)},
		{"queries/s", fmt.Sprintf("%.0f on one core, %.0f on %d, %.0f in batches", r.QPS1, r.QPSAll, r.Cores, r.QPSBatch)},
		{"checked", fmt.Sprintf("%d queries against brute force: equal", r.Checked)},
	}
	if a := r.Adding; a != nil {
		rows = append(rows, [2]string{"while adding", fmt.Sprintf("p50 %.2f µs, p99 %.2f µs at %.0f adds/s (p50 %.2f µs, p99 %.2f µs each), each found at once",
			a.P50, a.P99, a.AddsPerSecond, a.AddP50, a.AddP99)},
			[2]string{"one add after the other", fmt.Sprintf("p50 %.2f µs, p99 %.2f µs, longest %.2f µs", a.BurstP50, a.BurstP99, a.BurstMax)})
	}
	return writeTable(out, rows)
}

func writeJSON(out io.Writer, v any) error {
	if err := json.NewEncoder(out).Encode(v); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

func writeTable(out io.Writer, rows [][2]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\n", r[0], r[1])
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// resident returns the memory of this process in bytes, or 0 where the system
// does not say.
func resident() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(fields[1])
	return n * os.Getpagesize()
}
