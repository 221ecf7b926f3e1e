// SPDX-License-Identifier: Apache-2.0

package state

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
)

// A Store is where a snapshot is installed.
type Store interface {
	// Staged is the size of the snapshot that was begun and not installed, or 0.
	Staged() (uint64, error)
	// Stage begins or resumes a database from a manifest that was verified.
	Stage(m *Manifest) (Staging, error)
}

// A Staging is a database in the making. An error of Chunk and Rules with a code is
// the sender's fault; any other is our own.
type Staging interface {
	Missing() (chunks, rules []uint32)
	Chunk(index uint32, data []byte) error
	Rules(index uint32, data []byte) error
	// Install makes it the replica's state in one step; accept is called before any
	// of it can be seen.
	Install(ctx context.Context, accept func() error) error
	// Close keeps what was verified for later.
	Close() error
}

// Options are what a Bootstrapper needs beside its Store. All may be left out.
type Options struct {
	Every  uint64 // leaves between snapshot sizes; 0: 65,536
	Keyed  bool   // chunks of keys are fetched: of a reader of the digest tier
	Logger *slog.Logger
}

const defaultEvery = 1 << 16

// A Bootstrapper implements federation.Bootstrapper.
type Bootstrapper struct {
	store  Store
	opts   Options
	asking time.Duration // how long sources are waited for that were asked for manifests
	steal  time.Duration // stealAfter
}

var _ federation.Bootstrapper = (*Bootstrapper)(nil)

// NewBootstrapper makes one that installs into store.
func NewBootstrapper(store Store, opts Options) *Bootstrapper {
	if opts.Every == 0 {
		opts.Every = defaultEvery
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Bootstrapper{store: store, opts: opts, asking: manifestTimeout, steal: stealAfter}
}

// Wanted implements federation.Bootstrapper: a snapshot pays when the newest size
// that there can be saves half of what lies between two.
func (b *Bootstrapper) Wanted(have, target uint64) bool {
	newest := target / b.opts.Every * b.opts.Every
	return newest > have && newest-have >= b.opts.Every/2
}

// Bootstrap implements federation.Bootstrapper.
func (b *Bootstrapper) Bootstrap(ctx context.Context, job federation.Job) error {
	staged, err := b.store.Staged()
	if err != nil {
		return hide(err)
	}
	m, err := b.choose(ctx, &job, staged)
	if err != nil {
		return err
	}
	st, err := b.store.Stage(m)
	if err != nil {
		return hide(err)
	}
	b.opts.Logger.Info("fetching a snapshot", "size", m.Size, "bytes", m.Bytes)
	f := newFetch(&job, st, m, b.opts.Logger)
	f.keyed, f.stealAfter = b.opts.Keyed, b.steal
	if err := f.run(ctx); err != nil {
		return errors.Join(err, st.Close())
	}
	if err := st.Install(ctx, func() error { return job.Accept(m.Size, m.Root()) }); err != nil {
		return errors.Join(hide(err), st.Close())
	}
	return nil
}

// Sources are asked for manifests all at once, so many at most, and waited for so
// long.
const (
	maxAsked        = 4
	manifestTimeout = 10 * time.Second
)

// choose returns the manifest of the newest snapshot that a source has, verified;
// that of the size which was begun, where a source still has it.
func (b *Bootstrapper) choose(ctx context.Context, job *federation.Job, staged uint64) (*Manifest, error) {
	ctx, cancel := context.WithTimeout(ctx, b.asking)
	defer cancel()
	sources := job.Sources()
	sources = sources[:min(len(sources), maxAsked)]
	var mu sync.Mutex
	var wg sync.WaitGroup
	var best *Manifest
	failed := spec.Errorf(spec.CodeUnavailable, "no upstream can be asked for a snapshot")
	for _, p := range sources {
		wg.Go(func() {
			m, err := askManifest(ctx, job, p, staged)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				failed = spec.Errorf(spec.CodeUnavailable, "no upstream has a snapshot: %w", err)
				b.opts.Logger.Debug("asking for a snapshot", "peer", string(p), "error", err)
			case best == nil || m.Size == staged || best.Size != staged && m.Size > best.Size:
				best = m
			}
		})
	}
	wg.Wait()
	if best == nil {
		return nil, failed
	}
	return best, nil
}

// askManifest asks one source: for the size that was begun, then for its newest. It
// charges the source for what does not verify.
func askManifest(ctx context.Context, job *federation.Job, p p2p.PeerID, staged uint64) (*Manifest, error) {
	m, err := askSize(ctx, job, p, staged)
	if staged > 0 && isFault(err) {
		m, err = askSize(ctx, job, p, 0)
	}
	if err != nil && !hasNone(err) && ctx.Err() == nil {
		job.Blame(p, err)
	}
	return m, err
}

func askSize(ctx context.Context, job *federation.Job, p p2p.PeerID, size uint64) (*Manifest, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := Dial(ctx, job.Dialer, p)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	m, err := c.Manifest(size, job.Target.Size)
	if err != nil {
		return nil, err
	}
	if size > 0 && m.Size != size {
		return nil, spec.Errorf(spec.CodeMalformed, "a manifest of another size than was asked for")
	}
	_, err = m.Verify(job.Target.Checkpoint)
	return m, err
}

// hasNone reports whether a source only said that it does not have what was asked.
func hasNone(err error) bool {
	c := spec.CodeOf(err)
	return isFault(err) && (c == spec.CodeGone || c == spec.CodeNotFound)
}

func isFault(err error) bool {
	var f *p2p.Fault
	return errors.As(err, &f)
}

// hide takes the code from a fault of our own, so that no source is blamed for it.
func hide(err error) error {
	if err == nil || spec.CodeOf(err) == "" {
		return err
	}
	return localError{err}
}

type localError struct{ err error }

func (e localError) Error() string { return e.err.Error() }
