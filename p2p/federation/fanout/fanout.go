// SPDX-License-Identifier: Apache-2.0

// Package fanout measures how long it takes from a commit until every reader can
// match what was committed: readers of package federation in one process, in a tree
// of bounded width, over a simulated network, and some over libp2p on loopback.
// Each reader verifies every checkpoint and every proof by itself; what they share is
// the panel with the tables of its keys, which holds nothing of what was verified.
package fanout

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
)

// Options shape a measurement.
type Options struct {
	Readers int           // over the simulated network
	Real    int           // further ones over libp2p on loopback
	FanOut  int           // streams that one node pushes to
	Members int           // of the consortium
	Latency time.Duration // of the simulated network, one way
	Commits int           // that are measured
	Every   time.Duration // between two commits; 0: five latencies, 500 ms at least
	Apart   bool          // a commit waits until all readers have the one before
	JSON    bool
}

// A run is one measurement.
type run struct {
	o       Options
	council *council
	net     *network
	source  *memLog
	readers []*reader
	real    []*reader

	mu    sync.Mutex
	began map[uint64]time.Time // when the log of this size was committed
	leafs [][]byte
}

type reader struct {
	*federation.Reader
	id    p2p.PeerID
	log   *memLog
	depth int
	mu    sync.Mutex
	took  []time.Duration
}

var quiet = slog.New(slog.DiscardHandler)

// Run measures and prints.
func Run(ctx context.Context, o Options, out io.Writer) error {
	o.Readers, o.FanOut, o.Members, o.Commits = max(o.Readers, 1), max(o.FanOut, 1), max(o.Members, 3), max(o.Commits, 1)
	if o.Every == 0 {
		o.Every = max(500*time.Millisecond, 5*o.Latency)
	}
	c, err := newCouncil(o.Members)
	if err != nil {
		return err
	}
	r := &run{o: o, council: c, net: newNetwork(o.Latency), source: newLog(), began: map[uint64]time.Time{}}
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	defer done.Wait()
	defer cancel()
	if err := r.commit(0); err != nil { // so that readers have something to come to
		return err
	}
	setup := time.Now()
	if err := errors.Join(r.plant(ctx, &done), r.plantReal(ctx, &done)); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	joined := time.Since(setup)
	cpu := cpuTime()
	for range o.Commits {
		if err := wait(ctx, o.Every); err != nil {
			return err
		}
		if err := r.commit(r.cosigning()); err != nil {
			return err
		}
		if !o.Apart {
			continue
		}
		if err := r.arrived(ctx); err != nil {
			return err
		}
	}
	if err := r.check(ctx); err != nil {
		return err
	}
	return r.report(out, joined, cpuTime()-cpu)
}

// cosigning is how long a commit takes until it is final: it is named at most 10 ms
// later, and named and cosigned in one round trip between members.
func (r *run) cosigning() time.Duration { return 10*time.Millisecond + 2*r.o.Latency }

// commit appends a group and makes it final.
func (r *run) commit(cosigning time.Duration) error {
	leaf := make([]byte, 300)
	rand.Read(leaf)
	s := r.source
	s.mu.Lock()
	s.put(federation.Group{First: s.tree.Size, Leaves: [][]byte{leaf, append([]byte("root"), leaf[:32]...)}})
	size, root := s.tree.Size, s.tree.Root()
	s.mu.Unlock()
	r.mu.Lock()
	r.began[size] = time.Now()
	r.leafs = append(r.leafs, leaf)
	r.mu.Unlock()
	time.Sleep(cosigning)
	note, err := r.council.note(size, root, time.Now())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.final(size, note)
	return nil
}

func memberID(i int) p2p.PeerID { return p2p.PeerID(fmt.Sprint("member-", i)) }
func readerID(i int) p2p.PeerID { return p2p.PeerID(fmt.Sprint("reader-", i)) }

// parent is who pushes to the n-th reader of a full tree, and how deep that is.
func (r *run) parent(n int) (id p2p.PeerID, index, depth int) {
	if first := r.o.Members * r.o.FanOut; n < first {
		return memberID(n % r.o.Members), -1, 1
	} else {
		index = (n - first) / r.o.FanOut
	}
	return readerID(index), index, r.readers[index].depth + 1
}

func (r *run) options() federation.ServeOptions {
	return federation.ServeOptions{Roles: []string{"reader"}, Pushed: r.o.FanOut, Subscribers: 1 << 20, BulkRate: 1 << 30, Logger: quiet}
}

// plant starts the readers of the simulated network, level by level, each with its
// parent, one of the parent's neighbours and a member.
func (r *run) plant(ctx context.Context, done *sync.WaitGroup) error {
	for i := range r.o.Members {
		federation.Serve(place{r.net, memberID(i)}, r.source, r.options())
	}
	for len(r.readers) < r.o.Readers {
		begin := len(r.readers)
		_, _, depth := r.parent(begin)
		for n := begin; n < r.o.Readers; n++ {
			up, _, at := r.parent(n)
			if at != depth {
				break
			}
			id := readerID(n)
			k := r.reader(id, place{r.net, id}, depth)
			federation.Serve(place{r.net, id}, k.log, r.options())
			r.readers = append(r.readers, k)
			k.SetUpstreams([]p2p.PeerID{up})
			done.Go(func() { _ = k.Run(ctx) })
		}
		level := r.readers[begin:]
		if err := r.until(ctx, func() bool {
			return !slices.ContainsFunc(level, func(k *reader) bool { return k.Status().State != federation.Live || !pushed(k) })
		}); err != nil {
			return fmt.Errorf("the readers at depth %d did not join: %w", depth, err)
		}
	}
	for n, k := range r.readers {
		up, index, _ := r.parent(n)
		other, third := memberID((n+1)%r.o.Members), memberID((n+2)%r.o.Members)
		if index > 0 {
			other = readerID(index - 1)
		}
		k.SetUpstreams([]p2p.PeerID{up, other, third})
	}
	return nil
}

func pushed(k *reader) bool {
	for _, u := range k.Status().Upstreams {
		if u.Eager {
			return true
		}
	}
	return false
}

func (r *run) reader(id p2p.PeerID, d federation.Dialer, depth int) *reader {
	k := &reader{id: id, log: newLog(), depth: depth}
	k.log.seen = func(size uint64) {
		now := time.Now()
		r.mu.Lock()
		began := r.began[size]
		r.mu.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		k.took = append(k.took, now.Sub(began))
	}
	k.Reader = federation.NewReader(federation.ReaderConfig{
		Dialer: d, Panel: r.council.Panel, Replica: k.log, Marks: &marks{}, OnFinal: k.log.shown, Logger: quiet,
	})
	return k
}

// directory enrols all hosts of this process.
type directory struct{}

func (directory) Role(p2p.PeerID) (string, bool) { return "reader", true }

func host(listen ...string) (*p2p.Host, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return p2p.NewHost(p2p.Config{Key: key, Listen: listen, Directory: directory{}, Logger: quiet})
}

// plantReal starts readers over libp2p, all at one member.
func (r *run) plantReal(ctx context.Context, done *sync.WaitGroup) error {
	if r.o.Real == 0 {
		return nil
	}
	member, err := host("/ip4/127.0.0.1/tcp/0")
	if err != nil {
		return err
	}
	opts := r.options()
	opts.Pushed = r.o.Real
	federation.Serve(member, r.source, opts)
	context.AfterFunc(ctx, func() { _ = member.Close() })
	for range r.o.Real {
		h, err := host()
		if err != nil {
			return err
		}
		if err := h.AddPeer(member.ID(), member.Addrs()); err != nil {
			return err
		}
		k := r.reader(h.ID(), h, 1)
		r.real = append(r.real, k)
		k.SetUpstreams([]p2p.PeerID{member.ID()})
		done.Go(func() { defer h.Close(); _ = k.Run(ctx) })
	}
	return nil
}

// settle waits until every reader is live, has its upstreams, and is pushed to.
func (r *run) settle(ctx context.Context) error {
	return r.until(ctx, func() bool {
		for _, k := range r.readers {
			if st := k.Status(); st.State != federation.Live || len(st.Upstreams) < 3 || !pushed(k) {
				return false
			}
		}
		for _, k := range r.real {
			if k.Status().State != federation.Live || !pushed(k) {
				return false
			}
		}
		for _, k := range slices.Concat(r.readers, r.real) { // what came so far is not measured
			k.mu.Lock()
			k.took = nil
			k.mu.Unlock()
		}
		return true
	})
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// until polls a condition for two minutes.
func (r *run) until(ctx context.Context, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for !ok() {
		if err := wait(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// arrived waits until all have all.
func (r *run) arrived(ctx context.Context) error {
	all := slices.Concat(r.readers, r.real)
	size := r.source.Size()
	err := r.until(ctx, func() bool {
		return !slices.ContainsFunc(all, func(k *reader) bool { return k.log.Size() < size })
	})
	if err != nil {
		return fmt.Errorf("a reader never got all: %w", err)
	}
	return nil
}

// check waits until all have all, and looks everything up everywhere.
func (r *run) check(ctx context.Context) error {
	if err := r.arrived(ctx); err != nil {
		return err
	}
	all := slices.Concat(r.readers, r.real)
	root := r.source.tree.Root()
	for _, k := range all {
		if k.log.tree.Root() != root {
			return fmt.Errorf("%s has another log", k.id)
		}
		for _, leaf := range r.leafs {
			if !k.log.has(leaf) {
				return fmt.Errorf("%s does not match what was committed", k.id)
			}
		}
	}
	runtime.KeepAlive(all)
	return nil
}
