// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/spec"
)

// BenchOptions shape a measurement of commits.
type BenchOptions struct {
	Members  int           // of the consortium; 0: 3
	Clients  int           // that submit at once, spread over the members; 0: 1
	Batch    int           // signals of one proposal; 0: 1
	RTT      time.Duration // simulated round trip between members
	Duration time.Duration // of the measurement; 0: 10 s
	Bulk     bool          // measure once more while a reader fetches snapshots from all members
	JSON     bool
}

// BenchResult is what was measured.
type BenchResult struct {
	Members          int     `json:"members"`
	Clients          int     `json:"clients"`
	Batch            int     `json:"batch"`
	RTTMS            float64 `json:"rtt_ms"`
	Seconds          float64 `json:"seconds"`
	Operations       int     `json:"operations"`
	OperationsPerSec float64 `json:"operations_per_second"`
	SignalsPerSec    float64 `json:"signals_per_second"`
	P50MS            float64 `json:"p50_ms"`
	P99MS            float64 `json:"p99_ms"`
	MaxMS            float64 `json:"max_ms"`
	MaxAtS           float64 `json:"max_at_s"`             // when the one that took longest began, after the first
	FirstMS          float64 `json:"first_ms"`             // the first of the consortium, not measured: it waits for a leader and a time
	CPUMicros        float64 `json:"cpu_us_per_operation"` // of all members and clients
	SyncMS           float64 `json:"fsync_ms"`             // one synced append, before and after: the mean of the medians
	Elections        uint64  `json:"elections"`
	Checked          string  `json:"checked"`

	*BulkResult
}

// recordedBulk is the best bulk rate of rqlite v10 with three processes on
// loopback that was recorded on a 2-core machine, in rows per second. It is a
// recorded figure, not one of the same run.
const recordedBulk = 30208

// Bench founds a consortium on loopback, proposes random signals through the HTTP
// API of its members for a while, and prints rates and latencies of acknowledged,
// replicated operations. It fails unless every acknowledged operation stands in
// the log of every member, with the same root.
func Bench(ctx context.Context, o BenchOptions, out io.Writer) error {
	o.Members, o.Clients, o.Batch = max(o.Members, 3), max(o.Clients, 1), max(o.Batch, 1)
	if o.Duration == 0 {
		o.Duration = 10 * time.Second
	}
	dir, err := os.MkdirTemp("", "tocsin-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	failed := make(chan error, o.Members)
	c, err := Found(ctx, Options{
		Dir: dir, Members: o.Members, RTT: o.RTT, Snapshots: snapshotsOf(o), Logger: slog.New(slog.DiscardHandler),
		Fatal: func(who string, err error) { failed <- fmt.Errorf("the node of %s failed: %w", who, err) },
	})
	if err != nil {
		return err
	}
	defer c.Stop(context.WithoutCancel(ctx))
	first, waited, err := c.first(ctx)
	if err != nil {
		return err
	}
	if o.Bulk {
		if err := c.untilSnapshot(ctx); err != nil {
			return err
		}
	}
	r, acked, err := c.measure(ctx, o)
	if err != nil {
		return err
	}
	r.FirstMS, acked = milliseconds(waited), append(acked, first)
	if o.Bulk {
		var more []spec.Hash
		if r.BulkResult, more, err = c.besideBulk(ctx, o, r); err != nil {
			return err
		}
		acked = append(acked, more...)
	}
	if r.Checked, err = c.verify(ctx, acked); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	default:
	}
	return r.print(out, o.JSON)
}

// snapshotsOf is how often members keep a snapshot: often enough to be fetched.
func snapshotsOf(o BenchOptions) uint64 {
	if o.Bulk {
		return bulkSnapshots
	}
	return 0
}

// first proposes once. A consortium that was just founded takes that only when it has
// elected a leader and cosigned a checkpoint.
func (c *Consortium) first(ctx context.Context) (spec.Hash, time.Duration, error) {
	start := time.Now()
	id, err := newSocketClient(c.Members[0].Dir).propose(ctx, 1)
	if err != nil {
		return id, 0, fmt.Errorf("the first operation: %w", err)
	}
	return id, time.Since(start), nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// A timing is how long an operation took, and when it began.
type timing struct{ took, at time.Duration }

// measure runs the clients and collects the latencies of what was acknowledged.
func (c *Consortium) measure(ctx context.Context, o BenchOptions) (*BenchResult, []spec.Hash, error) {
	before := c.Members[0].Term()
	ctx, cancel := context.WithTimeout(ctx, o.Duration+2*time.Minute)
	defer cancel()
	synced, err := measureDisk(c.opts.Dir)
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	var took []timing
	var acked []spec.Hash
	var errs []error
	members := c.leaderFirst()
	cpu, begin := ownCPU(), time.Now()
	var wg sync.WaitGroup
	for i := range o.Clients {
		wg.Go(func() {
			client := newSocketClient(members[i%len(members)].Dir)
			for time.Since(begin) < o.Duration {
				start := time.Now()
				id, err := client.propose(ctx, o.Batch)
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
					mu.Unlock()
					return
				}
				took, acked = append(took, timing{time.Since(start), start.Sub(begin)}), append(acked, id)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(errs) > 0 || len(took) == 0 {
		return nil, nil, errors.Join(append(errs, errors.New("nothing was measured"))[0])
	}
	slices.SortFunc(took, func(a, b timing) int { return cmp.Compare(a.took, b.took) })
	seconds, cpu := time.Since(begin).Seconds(), ownCPU()-cpu
	after, err := measureDisk(c.opts.Dir)
	if err != nil {
		return nil, nil, err
	}
	at := func(q float64) float64 { return milliseconds(took[int(q*float64(len(took)-1))].took) }
	return &BenchResult{
		Members: len(c.Members), Clients: o.Clients, Batch: o.Batch, RTTMS: milliseconds(o.RTT), Seconds: seconds,
		Operations: len(took), OperationsPerSec: float64(len(took)) / seconds, SignalsPerSec: float64(len(took)*o.Batch) / seconds,
		P50MS: at(0.5), P99MS: at(0.99), MaxMS: at(1), MaxAtS: took[len(took)-1].at.Seconds(),
		CPUMicros: float64(cpu.Microseconds()) / float64(len(took)), SyncMS: milliseconds(synced+after) / 2, Elections: c.Members[0].Term() - before,
	}, acked, nil
}

// leaderFirst returns the members with the one that leads at the front, so that a
// single client measures commits and not the way to the leader as well.
func (c *Consortium) leaderFirst() []*Participant {
	members := slices.Clone(c.Members)
	slices.SortStableFunc(members, func(a, b *Participant) int {
		switch {
		case a.Leading() == b.Leading():
			return 0
		case a.Leading():
			return -1
		}
		return 1
	})
	return members
}

// verify checks that every member has every acknowledged operation and the same
// root.
func (c *Consortium) verify(ctx context.Context, acked []spec.Hash) (string, error) {
	size := c.Members[0].LogSize()
	for _, m := range c.Members {
		size = max(size, m.LogSize())
	}
	for _, m := range c.Members {
		if err := Await(ctx, func() (bool, error) { return m.LogSize() >= size, nil }); err != nil {
			return "", err
		}
		if m.LogSize() != c.Members[0].LogSize() || m.LogRoot() != c.Members[0].LogRoot() {
			return "", fmt.Errorf("the logs of %s and %s differ", m.ID, c.Members[0].ID)
		}
		for _, id := range acked {
			if _, err := m.Case(ctx, id, false); err != nil {
				return "", fmt.Errorf("an acknowledged operation is missing on %s: %w", m.ID, err)
			}
		}
	}
	return fmt.Sprintf("all %d acknowledged operations stand in the log of each member, with one root over %d leaves", len(acked), size), nil
}

func (r *BenchResult) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := fmt.Fprintf(out, `data        random SHA-256 signals, %d a proposal; %d clients over HTTP on unix sockets, the first at the leader, the others at the members in turn
consortium  %d members in one process over libp2p on loopback, simulated round trip %.0f ms
rate        %.0f operations/s, %.0f signals/s (%d operations in %.1f s)
latency     p50 %.2f ms, p99 %.2f ms, max %.2f ms, of one that began after %.1f s; %d elections
founding    %.0f ms until the first operation was acknowledged: an election and the first cosigned checkpoint; it is not in the latencies
costs       %.0f µs of processor time an operation, of all members and clients together; one fsync'd append to the same file system takes %.2f ms
peer        rqlite v10, best bulk form, recorded earlier on another run: %d rows/s; ratio %.1f
checked     %s
`, r.Batch, r.Clients, r.Members, r.RTTMS, r.OperationsPerSec, r.SignalsPerSec, r.Operations, r.Seconds,
		r.P50MS, r.P99MS, r.MaxMS, r.MaxAtS, r.Elections, r.FirstMS, r.CPUMicros, r.SyncMS, recordedBulk, r.SignalsPerSec/recordedBulk, r.Checked)
	if err == nil && r.BulkResult != nil {
		err = r.BulkResult.print(out)
	}
	return err
}

// A socketClient uses the API as any program beside the node would.
type socketClient struct{ http *http.Client }

func newSocketClient(dir string) *socketClient {
	path := filepath.Join(dir, api.SocketName)
	return &socketClient{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}}
}

type signalJSON struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// propose proposes n random signals as one item.
func (c *socketClient) propose(ctx context.Context, n int) (id spec.Hash, err error) {
	signals := make([]signalJSON, n)
	for i := range signals {
		var v [32]byte
		rand.Read(v[:])
		signals[i] = signalJSON{"sha256", hex.EncodeToString(v[:])}
	}
	body, err := json.Marshal(map[string]any{
		"basis": "benchmark", "items": []any{map[string]any{"labels": []string{"benchmark"}, "signals": signals}},
	})
	if err != nil {
		return id, err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", "http://node/v1/proposals", bytes.NewReader(body))
	if err != nil {
		return id, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return id, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return id, err
	}
	if resp.StatusCode/100 != 2 {
		return id, fmt.Errorf("status %d: %s", resp.StatusCode, b)
	}
	var answer struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return id, err
	}
	return spec.ParseHash(answer.ID)
}
