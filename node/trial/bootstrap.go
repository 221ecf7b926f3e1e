// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tocsin-db/tocsin/node/bootstrap"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/p2p/federation/state"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

// BootstrapOptions shape a measurement of how long an empty reader takes to have the
// state of others.
type BootstrapOptions struct {
	FilledOptions
	Sources int   // that serve it
	Rate    int64 // bits a second of all sources together; 0: unbounded
	JSON    bool
}

// BootstrapResult is what was measured.
type BootstrapResult struct {
	Entries         int     `json:"entries"`
	Records         int     `json:"records"`
	Sources         int     `json:"sources"`
	Cores           int     `json:"cores"` // that the reader and the sources share
	Rate            int64   `json:"rate_bits"`
	Seconds         float64 `json:"seconds"`         // from the first request to the first answer
	FetchSeconds    float64 `json:"fetch_seconds"`   // until every chunk was verified
	InstallSeconds  float64 `json:"install_seconds"` // writing the rest, laying out the indexes
	FetchCPUSeconds float64 `json:"fetch_cpu_seconds"`
	ReaderSeconds   float64 `json:"reader_cpu_seconds"`  // of the processor, in the reader's process
	SourceSeconds   float64 `json:"sources_cpu_seconds"` // the same in that of the sources
	PeakBytes       int64   `json:"peak_bytes"`          // of the reader's process, meanwhile
	Bytes           uint64  `json:"bytes"`               // of chunks
	SentBytes       uint64  `json:"sent_bytes"`          // of all answers, as they travel
	BytesPerEntry   float64 `json:"bytes_per_entry"`     // of SentBytes
	VerifiedMBps    float64 `json:"verified_mb_per_second"`
	DiskBytes       int64   `json:"disk_bytes"`
	Checked         int     `json:"checked"`
}

// BenchBootstrap fills a store, serves a snapshot of it over libp2p on loopback from
// several hosts in a process of their own, has an empty store bootstrap from them, and
// prints how long that took and what of the processors each side used. It fails unless
// both have the same roots, and sampled lookups are answered rightly.
func BenchBootstrap(ctx context.Context, o BootstrapOptions, out, say io.Writer) error {
	f, err := Fill(ctx, o.FilledOptions, say)
	if err != nil {
		return err
	}
	defer f.Remove()
	b := &bootstrapBench{opts: o, filled: f, log: slog.New(slog.DiscardHandler)}
	defer b.close()
	if err := b.connect(ctx); err != nil {
		return err
	}
	fmt.Fprintf(say, "bootstrapping an empty reader\n")
	r, err := b.run(ctx)
	if err != nil {
		return err
	}
	if o.JSON {
		return json.NewEncoder(out).Encode(r)
	}
	return r.print(out)
}

func (r *BootstrapResult) print(out io.Writer) error {
	each := 1e6 / float64(r.Entries)
	_, err := fmt.Fprintf(out, `entries     %d: half PDQ mixed as the field has them, half SHA-256; %d records of the rules
sources     %d over libp2p on loopback, in a process of their own, %s together; %d cores for all
bootstrap   %.2f s from the first request to the first answer, %.0f entries/s: %.2f s until every chunk was verified, %.2f s to write the rest and lay out the indexes
verified    %.1f MB/s, %d bytes; they travelled as %d: %.0f bytes per entry, %.1f s at 1 Gbit/s
reader      %.2f s of processors, %.2f of them until every chunk was verified: %.2f µs an entry; %.2f GB of memory at most, %.2f GB on disk
sources     %.2f s of processors: %.2f µs an entry
checked     the roots of the state and of the log; %d lookups: right
`, r.Entries, r.Records, r.Sources, bitRate(r.Rate), r.Cores, r.Seconds, float64(r.Entries)/r.Seconds, r.FetchSeconds, r.InstallSeconds,
		r.VerifiedMBps, r.Bytes, r.SentBytes, r.BytesPerEntry, float64(r.SentBytes)*8/1e9, r.ReaderSeconds, r.FetchCPUSeconds, r.ReaderSeconds*each, gb(r.PeakBytes), gb(r.DiskBytes),
		r.SourceSeconds, r.SourceSeconds*each, r.Checked)
	return err
}

func bitRate(r int64) string {
	if r == 0 {
		return "as fast as they can"
	}
	return fmt.Sprintf("%.2f Gbit/s", float64(r)/1e9)
}

type bootstrapBench struct {
	opts    BootstrapOptions
	filled  *Filled
	log     *slog.Logger
	host    *p2p.Host // the reader's, which only dials out
	sources *sourcesChild
	closes  []func() error
}

func (b *bootstrapBench) close() {
	for i := len(b.closes) - 1; i >= 0; i-- {
		_ = b.closes[i]() // what was measured was checked before
	}
}

// connect starts the sources and makes them known to the reader's host.
func (b *bootstrapBench) connect(ctx context.Context) error {
	key, id, err := newPeer()
	if err != nil {
		return err
	}
	if b.sources, err = startSources(ctx, b.filled.Dir, b.opts.Sources, b.opts.Rate, id); err != nil {
		return err
	}
	b.closes = append(b.closes, b.sources.stop)
	known := everyone{}
	for _, h := range b.sources.said.Hosts {
		known[h.ID] = spec.RoleMember
	}
	if b.host, err = p2p.NewHost(p2p.Config{Key: key, Directory: known, Logger: b.log}); err != nil {
		return err
	}
	b.closes = append(b.closes, b.host.Close)
	for _, h := range b.sources.said.Hosts {
		if err := b.host.AddPeer(h.ID, h.Addrs); err != nil {
			return err
		}
	}
	return nil
}

// run measures. The rows that the store was filled with are not in memory meanwhile.
func (b *bootstrapBench) run(ctx context.Context) (*BootstrapResult, error) {
	dir, err := os.MkdirTemp(filepath.Dir(b.filled.Dir), "reader-")
	if err != nil {
		return nil, err
	}
	b.closes = append(b.closes, func() error { return os.RemoveAll(dir) })
	s, err := openBench(filepath.Join(dir, "fsm"), b.log)
	if err != nil {
		return nil, err
	}
	b.closes = append(b.closes, s.Close)
	b.filled.pdq = nil
	debug.FreeOSMemory()
	forgetPeak()
	r, err := b.measure(ctx, s)
	if err != nil {
		return nil, err
	}
	r.DiskBytes = diskUse(dir)
	if err := b.filled.readRows(filepath.Dir(b.filled.Dir)); err != nil {
		return nil, err
	}
	r.Checked, err = b.check(s)
	return r, err
}

func (b *bootstrapBench) measure(ctx context.Context, s *storage.Store) (*BootstrapResult, error) {
	said := &b.sources.said
	var verified atomic.Uint64
	var mu sync.Mutex
	var fetched time.Time
	var fetchedCPU time.Duration
	var sources []p2p.PeerID
	for _, h := range said.Hosts {
		sources = append(sources, h.ID)
	}
	var blamed atomic.Pointer[error]
	job := federation.Job{
		Target: &tlog.Signed{Checkpoint: tlog.Checkpoint{Origin: "bench", Size: said.Size, Root: said.Root}}, Dialer: b.host,
		Sources: func() []p2p.PeerID { return sources },
		Blame:   func(_ p2p.PeerID, err error) { blamed.Store(&err) },
		Accept:  func(uint64, spec.Hash) error { return nil },
		Progress: func(done, _ uint64) {
			mu.Lock()
			defer mu.Unlock()
			verified.Store(max(done, verified.Load()))
			fetched, fetchedCPU = time.Now(), cpuTime()
		},
	}
	boot := state.NewBootstrapper(bootstrap.Sink{Store: s, Changed: func() {}}, state.Options{Every: 1, Logger: b.log})
	sourceCPU, cpu, began := b.sources.cpu(), cpuTime(), time.Now()
	if err := boot.Bootstrap(ctx, job); err != nil {
		return nil, err
	}
	ended := time.Now()
	if err := blamed.Load(); err != nil {
		return nil, fmt.Errorf("a source failed on the way: %w", *err)
	}
	var err error
	r := &BootstrapResult{
		Entries: b.filled.Entries, Records: b.filled.Entries / 2, Sources: b.opts.Sources, Cores: runtime.GOMAXPROCS(0), Rate: b.opts.Rate,
		Seconds: ended.Sub(began).Seconds(), FetchSeconds: fetched.Sub(began).Seconds(), InstallSeconds: ended.Sub(fetched).Seconds(),
		ReaderSeconds: (cpuTime() - cpu).Seconds(), FetchCPUSeconds: (fetchedCPU - cpu).Seconds(), SourceSeconds: (b.sources.cpu() - sourceCPU).Seconds(),
		PeakBytes: memoryOf(os.Getpid(), "VmHWM:"), Bytes: verified.Load(),
	}
	if r.SentBytes, err = b.sources.sent(); err != nil {
		return nil, err
	}
	r.BytesPerEntry = float64(r.SentBytes) / float64(r.Entries)
	r.VerifiedMBps = float64(r.Bytes) / 1e6 / r.FetchSeconds
	return r, nil
}

// check compares the two stores, and asks the new one for listed hashes and others.
func (b *bootstrapBench) check(s *storage.Store) (checked int, err error) {
	from, to := &b.sources.said, s.Head()
	if to.Root != from.Root || to.Size != from.Size || to.Live != from.Live || to.Entries != from.Entries {
		return 0, spec.Errorf(spec.CodeCorrupt, "the reader has %+v, the sources %+v", to, from)
	}
	rng := mathrand.New(mathrand.NewPCG(b.opts.Seed, 7))
	n := b.filled.Entries / 2
	for range 5000 {
		i := rng.IntN(2 * n) // the second half is listed nowhere
		digest := b.filled.Digest(i)
		ask := []spec.Signal{{Type: "sha256", Value: digest[:]}}
		if i < n {
			ask = append(ask, spec.Signal{Type: "pdq", Value: b.filled.pdq[i][:], Quality: 80})
		}
		for k, q := range ask {
			hits, _, lerr := s.Lookup([]spec.Signal{q})
			found := false
			for _, h := range hits {
				found = found || i < n && h.Entry.Entry == b.filled.entryID(i)
			}
			truncated := k == 1 && len(hits) >= 1000
			if lerr != nil || found != (i < n) && !truncated {
				return checked, errors.Join(lerr, spec.Errorf(spec.CodeCorrupt, "hash %d of entry %d is answered wrongly", k, i))
			}
			checked++
		}
	}
	return checked, nil
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
