// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// StartOptions shape a measurement of a node's start.
type StartOptions struct {
	FilledOptions
	JSON bool
}

// StartResult is what was measured.
type StartResult struct {
	Entries       int     `json:"entries"`
	ReadySeconds  float64 `json:"ready_seconds"`
	CPUSeconds    float64 `json:"cpu_seconds"`
	PeakBytes     int64   `json:"peak_bytes"`
	ResidentBytes int64   `json:"resident_bytes"`
	BytesPerEntry float64 `json:"bytes_per_entry"`
	DiskBytes     int64   `json:"disk_bytes"`
	Checked       int     `json:"checked"`
}

// BenchStart fills a data directory, starts a node in it as a process of its own,
// and prints how long it took to be ready and how much memory that needed. It fails
// unless sampled lookups through the node's socket are answered rightly.
func BenchStart(ctx context.Context, o StartOptions, out, say io.Writer) error {
	f, err := Fill(ctx, o.FilledOptions, say)
	if err != nil {
		return err
	}
	defer f.Remove()
	child, err := StartChild(ctx, f.Dir, func(reason string) { fmt.Fprintln(say, reason) })
	if err != nil {
		return err
	}
	defer child.Stop()
	r := StartResult{Entries: f.Entries, ReadySeconds: child.Ready.Seconds(), CPUSeconds: child.cpu().Seconds(), PeakBytes: child.Peak(), ResidentBytes: child.Resident()}
	r.BytesPerEntry = float64(r.ResidentBytes) / float64(r.Entries)
	r.DiskBytes = diskUse(filepath.Join(f.Dir, "fsm"))
	if r.Checked, err = f.check(ctx, child.client); err != nil {
		return err
	}
	if o.JSON {
		return json.NewEncoder(out).Encode(r)
	}
	_, err = fmt.Fprintf(out, `entries     %d: half PDQ mixed as the field has them, half SHA-256; %d records of the rules
ready       %.2f s after the process began (%.1f s of processors), the state checked against its root in the log
memory      peak %.2f GB, %.2f GB once ready: %.0f bytes per entry
disk        %.2f GB
checked     %d lookups through the node's socket: right
`, r.Entries, r.Entries/2, r.ReadySeconds, r.CPUSeconds, gb(r.PeakBytes), gb(r.ResidentBytes), r.BytesPerEntry, gb(r.DiskBytes), r.Checked)
	return err
}

func gb(n int64) float64 { return float64(n) / 1e9 }

func diskUse(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil
	})
	return total
}

// check asks for listed hashes and for others.
func (f *Filled) check(ctx context.Context, c *socketClient) (checked int, err error) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		i := rng.IntN(f.Entries / 2)
		digest, other := f.Digest(i), f.Digest(i+f.Entries/2)
		for _, q := range []struct {
			signal signalJSON
			listed bool
		}{
			{signalJSON{"sha256", hex.EncodeToString(digest[:])}, true},
			{signalJSON{"sha256", hex.EncodeToString(other[:])}, false},
			{signalJSON{"pdq", hex.EncodeToString(f.pdq[i][:])}, true},
		} {
			a, err := c.match(ctx, q.signal)
			if err != nil {
				return checked, err
			}
			if err := f.right(a, i, q.listed); err != nil {
				return checked, fmt.Errorf("a %s: %w", q.signal.Type, err)
			}
			checked++
		}
	}
	return checked, nil
}

// right checks an answer about pair i of hashes, or about none.
func (f *Filled) right(a *matchJSON, i int, listed bool) error {
	if !listed {
		if a.Verdict != "no-match" || len(a.Matches) != 0 {
			return fmt.Errorf("the answer is %s where nothing is listed", a.Verdict)
		}
		return nil
	}
	id := f.entryID(i).String()
	for _, m := range a.Matches {
		if m.Entry == id {
			return nil
		}
	}
	if a.Truncated {
		return nil // it may be among those that were left out
	}
	return fmt.Errorf("the entry is not among the %d matches", len(a.Matches))
}
