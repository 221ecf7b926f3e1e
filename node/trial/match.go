// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"
)

// MatchOptions shape a measurement of lookups through the API.
type MatchOptions struct {
	FilledOptions
	Clients       int           // that ask at once; 0: 4
	AddsPerSecond int           // measure once more while so many signals are listed
	Duration      time.Duration // of each measurement; 0: 5 s
	JSON          bool
}

// MatchRun is what one measurement showed, in calls of one signal.
type MatchRun struct {
	Calls       int     `json:"calls"`
	P50MS       float64 `json:"p50_ms"`
	P99MS       float64 `json:"p99_ms"`
	MaxMS       float64 `json:"max_ms"`
	CallsPerSec float64 `json:"calls_per_second"`
	Added       int     `json:"added,omitempty"`
	AddedPerSec float64 `json:"added_per_second,omitempty"`
	ownCPU      float64 // microseconds a call
}

// MatchResult is what was measured.
type MatchResult struct {
	Entries int       `json:"entries"`
	Clients int       `json:"clients"`
	Cores   int       `json:"cores"`
	Single  MatchRun  `json:"single"` // one client
	Many    MatchRun  `json:"many"`
	Adding  *MatchRun `json:"adding,omitempty"`
	BatchUS float64   `json:"batch_us_per_signal"`    // lines of one signal, 1,000 a call
	RowsNS  float64   `json:"rows_ns_per_key"`        // SHA-256 rows, 1,000 a call
	NodeCPU float64   `json:"node_cpu_us_per_call"`   // of many clients
	OwnCPU  float64   `json:"client_cpu_us_per_call"` // likewise
}

// BenchMatch fills a node, starts it as a process of its own and asks it through
// its unix socket: half PDQ within 31 bits, half SHA-256, of each half planted. It
// fails when a planted signal is not found or one that is listed nowhere is.
func BenchMatch(ctx context.Context, o MatchOptions, out, say io.Writer) error {
	if o.Clients <= 0 {
		o.Clients = 4
	}
	if o.Duration <= 0 {
		o.Duration = 5 * time.Second
	}
	f, err := Fill(ctx, o.FilledOptions, say)
	if err != nil {
		return err
	}
	defer f.Remove()
	// Lookups are measured, not what a node does once an hour.
	child, err := StartChild(ctx, f.Dir, func(reason string) { fmt.Fprintln(say, reason) }, "TOCSIN_VERIFY_EVERY=never")
	if err != nil {
		return err
	}
	defer child.Stop()
	r := MatchResult{Entries: f.Entries, Clients: o.Clients, Cores: runtime.NumCPU()}
	b := &matchBench{f: f, child: child}
	if _, err = b.run(1, o.Duration/5); err != nil { // warm up
		return err
	}
	if r.Single, err = b.run(1, o.Duration); err != nil {
		return err
	}
	before := child.cpu()
	if r.Many, err = b.run(o.Clients, o.Duration); err != nil {
		return err
	}
	r.NodeCPU = float64((child.cpu() - before).Microseconds()) / float64(r.Many.Calls)
	r.OwnCPU = r.Many.ownCPU
	if r.BatchUS, err = b.batch(ctx); err != nil {
		return err
	}
	if r.RowsNS, err = b.rows(ctx); err != nil {
		return err
	}
	if o.AddsPerSecond > 0 {
		if r.Adding, err = b.runAdding(ctx, o); err != nil {
			return err
		}
	}
	return r.print(out, o.JSON)
}

type matchBench struct {
	f     *Filled
	child *Child
	seed  uint64 // of the last queries
}

// run asks with several clients for a while.
func (b *matchBench) run(clients int, d time.Duration) (r MatchRun, err error) {
	var mu sync.Mutex
	var all []time.Duration
	var errs []error
	var wg sync.WaitGroup
	queries := b.questions(clients)
	runtime.GC() // of making them
	began, own := time.Now(), ownCPU()
	for i := range clients {
		wg.Go(func() {
			took, err := b.client(queries[i], began.Add(d))
			mu.Lock()
			defer mu.Unlock()
			all, errs = append(all, took...), append(errs, err)
		})
	}
	wg.Wait()
	seconds, own := time.Since(began).Seconds(), ownCPU()-own
	if err := errors.Join(errs...); err != nil {
		return r, err
	}
	slices.Sort(all)
	at := func(q float64) float64 { return float64(all[int(q*float64(len(all)-1))].Nanoseconds()) / 1e6 }
	return MatchRun{Calls: len(all), P50MS: at(0.5), P99MS: at(0.99), MaxMS: at(1), CallsPerSec: float64(len(all)) / seconds, ownCPU: float64(own.Microseconds()) / float64(len(all))}, nil
}

// questionsEach is how many queries a client has, more than it asks in a second or
// two: what is asked again and again is remembered.
const questionsEach = 20_000

// questions makes queries for each client, others in every run.
func (b *matchBench) questions(clients int) [][]query {
	out := make([][]query, clients)
	for i := range out {
		b.seed++
		out[i] = b.f.queries(b.seed, questionsEach)
	}
	return out
}

func (b *matchBench) client(queries []query, until time.Time) (took []time.Duration, err error) {
	c, err := dialPlain(b.f.Dir)
	if err != nil {
		return nil, err
	}
	defer c.close()
	for n := 0; time.Now().Before(until); n++ {
		q := &queries[n%len(queries)]
		start := time.Now()
		body, err := c.ask(q.request)
		took = append(took, time.Since(start))
		if err == nil {
			err = q.check(body)
		}
		if err != nil {
			return nil, err
		}
	}
	return took, nil
}

// runAdding measures while signals are proposed, and accepted at once by the only
// member.
func (b *matchBench) runAdding(ctx context.Context, o MatchOptions) (*MatchRun, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	added, failed := make(chan int, 1), make(chan error, 1)
	go func() {
		n, err := b.add(ctx, o.AddsPerSecond)
		added <- n
		failed <- err
	}()
	r, err := b.run(o.Clients, o.Duration)
	cancel()
	r.Added = <-added
	r.AddedPerSec = float64(r.Added) / o.Duration.Seconds()
	return &r, errors.Join(err, <-failed)
}

// add proposes 20 signals at a time until ctx ends.
func (b *matchBench) add(ctx context.Context, perSecond int) (n int, err error) {
	const batch = 20
	client := newSocketClient(b.f.Dir)
	began := time.Now()
	tick := time.NewTicker(time.Second * batch / time.Duration(max(batch, perSecond)))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return n, nil
		case <-tick.C:
		}
		for n < int(time.Since(began).Seconds()*float64(perSecond)) && ctx.Err() == nil {
			if _, err := client.propose(context.WithoutCancel(ctx), batch); err != nil {
				return n, err
			}
			n += batch
		}
	}
}

func (r *MatchResult) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	run := func(m *MatchRun) string {
		return fmt.Sprintf("p50 %.3f ms, p99 %.3f ms, max %.1f ms; %.0f calls/s", m.P50MS, m.P99MS, m.MaxMS, m.CallsPerSec)
	}
	fmt.Fprintf(out, `entries     %d: half PDQ mixed as the field has them, half SHA-256
queries     one signal a call through the node's unix socket, half PDQ within 31 bits, half SHA-256, half planted
one client  %s
%-2d clients  %s; a call takes %.0f µs of the node's processor time and %.0f µs of the clients', on %d cores for both
batch       %.1f µs a signal, 1,000 lines a call
rows        %.0f ns a key, 1,000 SHA-256 rows a call
`, r.Entries, run(&r.Single), r.Clients, run(&r.Many), r.NodeCPU, r.OwnCPU, r.Cores, r.BatchUS, r.RowsNS)
	if r.Adding != nil {
		fmt.Fprintf(out, "adding      %s while %.0f signals/s are listed\n", run(r.Adding), r.Adding.AddedPerSec)
	}
	_, err := fmt.Fprintf(out, "checked     every answer: planted signals are found, others are not\n")
	return err
}
