// SPDX-License-Identifier: Apache-2.0

package fanout

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// A Result is what was measured. Times are in milliseconds, from commit to matchable.
type Result struct {
	Readers   int     `json:"readers"`
	FanOut    int     `json:"fan_out"`
	Depth     int     `json:"depth"`
	Members   int     `json:"members"`
	Quorum    int     `json:"quorum"`
	LatencyMS float64 `json:"one_way_latency_ms"`
	CosignMS  float64 `json:"cosigning_ms"` // contained in the times
	Commits   int     `json:"commits"`
	Samples   int     `json:"samples"`
	P50MS     float64 `json:"p50_ms"`
	P99MS     float64 `json:"p99_ms"`
	P999MS    float64 `json:"p999_ms"`
	MaxMS     float64 `json:"max_ms"`
	Real      int     `json:"real_readers"`
	RealP50MS float64 `json:"real_p50_ms"`
	RealP99MS float64 `json:"real_p99_ms"`
	JoinS     float64 `json:"all_joined_s"`
	CPUMS     float64 `json:"cpu_ms_per_commit"` // of this process
	FloorMS   float64 `json:"machine_floor_ms"`  // that, spread over all processors: no commit can reach all readers of one machine sooner
	TargetMS  float64 `json:"target_p99_ms"`
}

// Targets, on p99: in one site, and with 200 ms round trips.
const (
	targetLAN = 100
	targetWAN = 1000
)

func (r *run) report(out io.Writer, joined, cpu time.Duration) error {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	took, real := samples(r.readers), samples(r.real)
	if len(took) < r.o.Readers*r.o.Commits/2 {
		return fmt.Errorf("only %d samples of %d readers and %d commits", len(took), r.o.Readers, r.o.Commits)
	}
	perCommit := cpu / time.Duration(r.o.Commits)
	s := Result{
		Readers: r.o.Readers, FanOut: r.o.FanOut, Members: r.o.Members, Quorum: r.council.K(), LatencyMS: ms(r.o.Latency), CosignMS: ms(r.cosigning()),
		Commits: r.o.Commits, Samples: len(took), P50MS: ms(at(took, 0.5)), P99MS: ms(at(took, 0.99)), P999MS: ms(at(took, 0.999)), MaxMS: ms(at(took, 1)),
		Real: r.o.Real, RealP50MS: ms(at(real, 0.5)), RealP99MS: ms(at(real, 0.99)), JoinS: joined.Seconds(),
		CPUMS: ms(perCommit), FloorMS: ms(perCommit) / float64(runtime.GOMAXPROCS(0)), TargetMS: targetLAN,
	}
	if r.o.Latency > 5*time.Millisecond {
		s.TargetMS = targetWAN
	}
	for _, k := range r.readers {
		s.Depth = max(s.Depth, k.depth)
	}
	if r.o.JSON {
		return json.NewEncoder(out).Encode(s)
	}
	_, err := fmt.Fprintf(out, `data        one group of 2 leaves a commit, %d commits, one each %v
readers     %d in one process over a simulated network of %.0f ms one way, fan-out %d, %d deep, 3 upstreams each; all joined in %.1f s
finality    %d of %d cosign: %.0f ms of each time, a naming and a round trip; every reader verifies every checkpoint and proof
matchable   p50 %.1f ms, p99 %.1f ms, p99.9 %.1f ms, max %.1f ms after the commit (%d samples)
target      p99 below %.0f ms: ratio %.2f
machine     %.1f ms of processor time a commit for all; on %d processors none can reach all sooner than %.1f ms
`, s.Commits, r.o.Every, s.Readers, s.LatencyMS, s.FanOut, s.Depth, s.JoinS, s.Quorum, s.Members, s.CosignMS,
		s.P50MS, s.P99MS, s.P999MS, s.MaxMS, s.Samples, s.TargetMS, s.P99MS/s.TargetMS, s.CPUMS, runtime.GOMAXPROCS(0), s.FloorMS)
	if err == nil && s.Real > 0 {
		_, err = fmt.Fprintf(out, "libp2p      %d further readers over TCP on loopback at one member, meanwhile: p50 %.1f ms, p99 %.1f ms\n", s.Real, s.RealP50MS, s.RealP99MS)
	}
	if err == nil {
		_, err = fmt.Fprintf(out, "checked     all %d commits are matchable on every reader, with one root over %d leaves\n", s.Commits+1, r.source.Size())
	}
	return err
}

func samples(readers []*reader) (all []time.Duration) {
	for _, k := range readers {
		k.mu.Lock()
		all = append(all, k.took...)
		k.mu.Unlock()
	}
	slices.Sort(all)
	return all
}

func at(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))]
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
