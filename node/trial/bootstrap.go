// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/time/rate"

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
	Entries        int     `json:"entries"`
	Records        int     `json:"records"`
	Sources        int     `json:"sources"`
	Rate           int64   `json:"rate_bits"`
	Seconds        float64 `json:"seconds"`         // from the first request to the first answer
	FetchSeconds   float64 `json:"fetch_seconds"`   // until every chunk was verified
	InstallSeconds float64 `json:"install_seconds"` // writing the rest, hashing all again, filling the indexes
	CPUSeconds     float64 `json:"cpu_seconds"`     // of all, sources included
	SourceSeconds  float64 `json:"source_seconds"`  // of the processor, for making every chunk once more, unsent
	Bytes          uint64  `json:"bytes"`           // of chunks
	BytesPerEntry  float64 `json:"bytes_per_entry"`
	VerifiedMBps   float64 `json:"verified_mb_per_second"`
	Checked        int     `json:"checked"`
}

// BenchBootstrap fills a store, serves a snapshot of it from several hosts over
// libp2p on loopback, has an empty store bootstrap from them in the same process, and
// prints how long that took. It fails unless both have the same roots, and sampled
// lookups are answered rightly.
func BenchBootstrap(ctx context.Context, o BootstrapOptions, out, say io.Writer) error {
	f, err := Fill(ctx, o.FilledOptions, say)
	if err != nil {
		return err
	}
	defer f.Remove()
	b := &bootstrapBench{opts: o, filled: f, log: slog.New(slog.DiscardHandler)}
	defer b.close()
	if err := b.openSource(ctx); err != nil {
		return err
	}
	if err := b.openNetwork(); err != nil {
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
	_, err = fmt.Fprintf(out, `entries     %d: half PDQ mixed as the field has them, half SHA-256; %d records of the rules
sources     %d over libp2p on loopback, in this process, %s together
bootstrap   %.2f s from the first request to the first answer: %.2f s until every chunk was verified and written, %.2f s to hash all again and fill the indexes
verified    %.1f MB/s, %d bytes: %.0f bytes per entry
processor   %.2f s of all, sources included; making every chunk once more, unsent, took %.2f s
checked     the roots of the state and of the log; %d lookups: right
`, r.Entries, r.Records, r.Sources, bitRate(r.Rate), r.Seconds, r.FetchSeconds, r.InstallSeconds, r.VerifiedMBps, r.Bytes, r.BytesPerEntry, r.CPUSeconds, r.SourceSeconds, r.Checked)
	return err
}

func bitRate(r int64) string {
	if r == 0 {
		return "as fast as they can"
	}
	return fmt.Sprintf("%.2f Gbit/s", float64(r)/1e9)
}

type bootstrapBench struct {
	opts   BootstrapOptions
	filled *Filled
	log    *slog.Logger
	source *storage.Store
	hosts  []*p2p.Host // the reader's is the last
	closes []func() error
}

func (b *bootstrapBench) close() {
	for i := len(b.closes) - 1; i >= 0; i-- {
		_ = b.closes[i]() // what was measured was checked before
	}
}

// openSource opens the filled store and has it keep a snapshot.
func (b *bootstrapBench) openSource(ctx context.Context) (err error) {
	b.source, err = b.open(filepath.Join(b.filled.Dir, "fsm"))
	if err != nil || len(b.source.Snapshots()) > 0 {
		return err
	}
	tx, err := b.source.Begin()
	if err != nil {
		return err
	}
	defer tx.Drop()
	roots, err := tx.Roots()
	if err != nil {
		return err
	}
	leaf, err := spec.Encode(&spec.StateRoot{Tag: spec.TagStateRoot, SizeBefore: tx.Size(), LiveRoot: roots.Live, LiveCount: roots.LiveCount, RulesRoot: roots.Rules})
	if err == nil {
		err = tx.Append(leaf)
	}
	if err == nil {
		err = tx.Commit(b.source.Head().Applied)
	}
	if err != nil {
		return err
	}
	return Await(ctx, func() (bool, error) { return len(b.source.Snapshots()) > 0, nil })
}

func (b *bootstrapBench) open(dir string) (*storage.Store, error) {
	s, err := storage.Open(dir, storage.Options{FS: vfs.Default, Logger: b.log, Fatal: func(err error) { panic(err) }, SnapshotEvery: 1})
	if err == nil {
		b.closes = append(b.closes, s.Close)
	}
	return s, err
}

type everyone map[p2p.PeerID]string

func (e everyone) Role(id p2p.PeerID) (string, bool) { role, ok := e[id]; return role, ok }

// openNetwork opens a host for each source and one for the reader, which only dials
// out.
func (b *bootstrapBench) openNetwork() error {
	known := everyone{}
	var keys []ed25519.PrivateKey
	for i := range b.opts.Sources + 1 {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		id, err := p2p.IDFromPublicKey(key.Public().(ed25519.PublicKey))
		if err != nil {
			return err
		}
		known[id] = spec.RoleMember
		if i == b.opts.Sources {
			known[id] = spec.RoleReader
		}
		keys = append(keys, key)
	}
	var bulk federation.Pacer // nil: not paced
	if b.opts.Rate > 0 {
		bulk = rate.NewLimiter(rate.Limit(b.opts.Rate/8), 1<<20)
	}
	for i, key := range keys {
		var listen []string
		if i < b.opts.Sources {
			listen = []string{"/ip4/127.0.0.1/tcp/0"}
		}
		h, err := p2p.NewHost(p2p.Config{Key: key, Listen: listen, Directory: known, Logger: b.log})
		if err != nil {
			return err
		}
		b.hosts = append(b.hosts, h)
		b.closes = append(b.closes, h.Close)
		if i < b.opts.Sources {
			state.Serve(h, bootstrap.Source{Store: b.source, Final: b.source.Size, Logger: b.log}, state.ServeOptions{
				Roles: []string{spec.RoleReader}, ChunkRoles: []string{spec.RoleReader}, Bulk: bulk, Logger: b.log,
			})
		}
	}
	reader := b.hosts[b.opts.Sources]
	for _, h := range b.hosts[:b.opts.Sources] {
		if err := reader.AddPeer(h.ID(), h.Addrs()); err != nil {
			return err
		}
	}
	return nil
}

func (b *bootstrapBench) run(ctx context.Context) (*BootstrapResult, error) {
	dir, err := os.MkdirTemp(filepath.Dir(b.filled.Dir), "reader-")
	if err != nil {
		return nil, err
	}
	b.closes = append(b.closes, func() error { return os.RemoveAll(dir) })
	s, err := b.open(filepath.Join(dir, "fsm"))
	if err != nil {
		return nil, err
	}
	head := b.source.Head()
	var verified atomic.Uint64
	var fetched time.Time
	var sources []p2p.PeerID
	for _, h := range b.hosts[:b.opts.Sources] {
		sources = append(sources, h.ID())
	}
	var blamed atomic.Pointer[error]
	job := federation.Job{
		Target: &tlog.Signed{Checkpoint: tlog.Checkpoint{Origin: "bench", Size: head.Size, Root: head.Root}}, Dialer: b.hosts[b.opts.Sources],
		Sources: func() []p2p.PeerID { return sources },
		Blame:   func(_ p2p.PeerID, err error) { blamed.Store(&err) },
		Accept:  func(uint64, spec.Hash) error { return nil },
		Progress: func(done, _ uint64) {
			verified.Store(max(done, verified.Load()))
			fetched = time.Now()
		},
	}
	boot := state.NewBootstrapper(bootstrap.Sink{Store: s, Changed: func() {}}, state.Options{Every: 1, Logger: b.log})
	cpu, began := cpuTime(), time.Now()
	if err := boot.Bootstrap(ctx, job); err != nil {
		return nil, err
	}
	ended := time.Now()
	if err := blamed.Load(); err != nil {
		return nil, fmt.Errorf("a source failed on the way: %w", *err)
	}
	r := &BootstrapResult{
		Entries: b.filled.Entries, Records: b.filled.Entries / 2, Sources: b.opts.Sources, Rate: b.opts.Rate,
		Seconds: ended.Sub(began).Seconds(), FetchSeconds: fetched.Sub(began).Seconds(), InstallSeconds: ended.Sub(fetched).Seconds(),
		CPUSeconds: (cpuTime() - cpu).Seconds(), Bytes: verified.Load(),
	}
	r.BytesPerEntry = float64(r.Bytes) / float64(r.Entries)
	r.VerifiedMBps = float64(r.Bytes) / 1e6 / r.FetchSeconds
	if r.SourceSeconds, err = b.makeChunks(r.Bytes); err != nil {
		return nil, err
	}
	r.Checked, err = b.check(s)
	return r, err
}

// makeChunks makes every chunk as a source does, and returns what of the processor
// that takes. The records of the rules are parted by then, which is left out. It
// fails unless the chunks have as many bytes as were fetched.
func (b *bootstrapBench) makeChunks(fetched uint64) (seconds float64, err error) {
	kept := b.source.Snapshots()[0]
	cpu, made := cpuTime(), uint64(0)
	for _, of := range []struct {
		n    uint32
		make func(uint32) ([]byte, error)
	}{{storage.LiveChunks, kept.Chunk}, {storage.RuleChunks, kept.Rules}} {
		for i := range of.n {
			data, err := of.make(i)
			if err != nil {
				return 0, err
			}
			made += uint64(len(data))
		}
	}
	if made != fetched {
		return 0, spec.Errorf(spec.CodeCorrupt, "the chunks have %d bytes, of which %d were fetched", made, fetched)
	}
	return (cpuTime() - cpu).Seconds(), nil
}

// check compares the two stores, and asks the new one for listed hashes and others.
func (b *bootstrapBench) check(s *storage.Store) (checked int, err error) {
	kept := b.source.Snapshots()[0].Head()
	from, to := b.source.Head(), s.Head()
	if root := (&tlog.Edge{Size: kept.Size, Hashes: kept.Frontier}).Root(); to.Root != root || to.Size != kept.Size || to.Live != from.Live || to.Entries != from.Entries {
		return 0, spec.Errorf(spec.CodeCorrupt, "the reader has %+v, the source %+v", to, from)
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
