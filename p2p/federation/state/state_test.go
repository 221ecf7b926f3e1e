// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

const every = 16

// history is a log in memory with a snapshot at size: chunks are made-up bytes, whose
// hashes stand in the place of real roots of chunks.
type history struct {
	log      tlog.Memory
	size     uint64
	manifest Manifest
	chunks   [2]map[uint32][]byte
}

func content(kind, i int) []byte {
	return bytes.Repeat(binary.BigEndian.AppendUint32([]byte{byte(kind)}, uint32(i)), 1+i%700)
}

func newHistory(t *testing.T) *history {
	t.Helper()
	h := &history{size: every, chunks: [2]map[uint32][]byte{{}, {}}}
	for kind, n := range []int{Chunks, RuleChunks} {
		for i := range n {
			c := content(kind, i)
			h.chunks[kind][uint32(i)] = c
			h.manifest.Bytes += uint64(len(c))
			roots := &h.manifest.ChunkRoots
			if kind == 1 {
				roots = &h.manifest.RuleRoots
			}
			*roots = append(*roots, spec.LeafHash(c))
		}
	}
	leaf, err := spec.Encode(&spec.StateRoot{Tag: spec.TagStateRoot, LiveRoot: Above(h.manifest.ChunkRoots), RulesRoot: Above(h.manifest.RuleRoots)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * every / 2 {
		if uint64(i) == h.size-1 {
			h.log.Add(spec.LeafHash(leaf))
			h.manifest.Frontier = h.log.Clone().Hashes
			continue
		}
		h.log.Add(spec.LeafHash([]byte{byte(i)}))
	}
	h.manifest.Size, h.manifest.Leaf = h.size, leaf
	if h.manifest.LeafProof, err = tlog.Inclusion(&h.log, h.size, h.size-1); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *history) final() tlog.Checkpoint {
	return tlog.Checkpoint{Origin: "test", Size: h.log.Size, Root: h.log.Root()}
}

// Manifest implements Source, as Chunk, Rules and Nodes do.
func (h *history) Manifest(size, upto uint64) (*Manifest, error) {
	if size != 0 && size != h.size {
		return nil, p2p.Gone(h.size)
	}
	m := h.manifest
	var err error
	m.Proof, err = tlog.Consistency(&h.log, m.Size, upto)
	return &m, err
}

func (h *history) Chunk(size uint64, i uint32) ([]byte, error) { return h.get(0, size, i) }
func (h *history) Keys(size uint64, i uint32) ([]byte, error)  { return h.get(0, size, i) }
func (h *history) Rules(size uint64, i uint32) ([]byte, error) { return h.get(1, size, i) }

func (h *history) get(kind int, size uint64, i uint32) ([]byte, error) {
	if size != h.size {
		return nil, p2p.Gone(h.size)
	}
	return h.chunks[kind][i], nil
}

func (h *history) Nodes(_ uint64, _, _ int, index uint64) ([]spec.Hash, error) {
	return h.manifest.ChunkRoots[index : index+256], nil
}

// store keeps what is verified, over simulated crashes.
type store struct {
	mu        sync.Mutex
	m         *Manifest
	have      [2]map[uint32]bool
	puts      int
	installed bool
	failAt    int // put at which the store itself fails, 0: never
}

func (s *store) Staged() (uint64, error) {
	if s.m == nil || s.installed {
		return 0, nil
	}
	return s.m.Size, nil
}

func (s *store) Stage(m *Manifest) (Staging, error) {
	if s.m == nil || s.m.Size != m.Size {
		s.m, s.have = m, [2]map[uint32]bool{{}, {}}
	}
	return s, nil
}

func (s *store) Missing() (chunks, rules []uint32) {
	for i := range uint32(Chunks) {
		if !s.have[0][i] {
			chunks = append(chunks, i)
		}
	}
	for i := range uint32(RuleChunks) {
		if !s.have[1][i] {
			rules = append(rules, i)
		}
	}
	return chunks, rules
}

func (s *store) Chunk(i uint32, data []byte) error { return s.put(0, i, data, s.m.ChunkRoots[i]) }
func (s *store) Rules(i uint32, data []byte) error { return s.put(1, i, data, s.m.RuleRoots[i]) }

func (s *store) put(kind int, i uint32, data []byte, root spec.Hash) error {
	if spec.LeafHash(data) != root {
		return spec.Errorf(spec.CodeProof, "not the chunk")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.puts++; s.puts == s.failAt {
		return errors.New("the disk is full")
	}
	s.have[kind][i] = true
	return nil
}

func (s *store) Install(_ context.Context, accept func() error) error {
	if c, r := s.Missing(); len(c)+len(r) > 0 {
		return errors.New("installed too early")
	}
	s.installed = true
	return accept()
}

func (s *store) Close() error { return nil }

// network is hosts over loopback: a reader that only dials out, and sources.
type network struct {
	t       *testing.T
	reader  *p2p.Host
	sources []*p2p.Host
	roles   directory

	mu      sync.Mutex
	offence chan struct{} // closed by the first
	offend  func()        // closes it
	blamed  map[p2p.PeerID][]error
	barred  map[p2p.PeerID]bool
}

type directory struct {
	mu sync.Mutex
	m  map[p2p.PeerID]string
}

func (d *directory) Role(id p2p.PeerID) (string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	role, ok := d.m[id]
	return role, ok
}

func (d *directory) set(id p2p.PeerID, role string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.m[id] = role
}

func newNetwork(t *testing.T, sources int) *network {
	n := &network{t: t, roles: directory{m: map[p2p.PeerID]string{}}, offence: make(chan struct{}), blamed: map[p2p.PeerID][]error{}, barred: map[p2p.PeerID]bool{}}
	n.offend = sync.OnceFunc(func() { close(n.offence) })
	host := func(b byte, listen ...string) *p2p.Host {
		h, err := p2p.NewHost(p2p.Config{
			Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)), Listen: listen, Directory: &n.roles, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		return h
	}
	n.reader = host(200)
	n.roles.set(n.reader.ID(), spec.RoleReader)
	for i := range sources {
		s := host(byte(i+1), []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}[i%2])
		n.roles.set(s.ID(), spec.RoleMember)
		n.sources = append(n.sources, s)
		if err := n.reader.AddPeer(s.ID(), s.Addrs()); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(n.offend) // before the hosts close, which wait for who waits for it
	return n
}

func (n *network) serve(i int, src Source) {
	Serve(n.sources[i], src, ServeOptions{
		Roles: []string{spec.RoleMember, spec.RoleReader, spec.RoleAuditor}, ChunkRoles: []string{spec.RoleMember, spec.RoleReader},
		Role: n.roles.Role, Logger: slog.New(slog.DiscardHandler),
	})
}

// lie has a source answer with what fn makes.
func (n *network) lie(i int, fn p2p.StreamHandler) {
	n.sources[i].HandleStream(Protocol, p2p.Policy{Roles: []string{p2p.AnyRole}}, fn)
}

func (n *network) job(final tlog.Checkpoint) federation.Job {
	return federation.Job{
		Target: &tlog.Signed{Checkpoint: final}, Dialer: n.reader,
		Sources: func() (out []p2p.PeerID) {
			n.mu.Lock()
			defer n.mu.Unlock()
			for _, s := range n.sources {
				if !n.barred[s.ID()] {
					out = append(out, s.ID())
				}
			}
			return out
		},
		Blame: func(p p2p.PeerID, err error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.blamed[p] = append(n.blamed[p], err)
			if spec.CodeOf(err) != "" && !isFault(err) {
				n.barred[p] = true // as the reader does with an offender
				n.offend()
			}
		},
		Accept: func(size uint64, root spec.Hash) error { return nil },
	}
}

// offended reports whether a source was charged with an offence.
func (n *network) offended(i int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.barred[n.sources[i].ID()]
}

// limit is how long a test waits.
const limit = 5 * time.Minute

func (n *network) run(s *store, final tlog.Checkpoint) error {
	return n.runStealing(stealAfter, s, final)
}

func (n *network) runStealing(after time.Duration, s *store, final tlog.Checkpoint) error {
	ctx, cancel := context.WithTimeout(n.t.Context(), limit)
	defer cancel()
	b := NewBootstrapper(s, Options{Every: every})
	b.asking, b.steal = limit, after
	return b.Bootstrap(ctx, n.job(final))
}

// counting counts what a source was asked.
type counting struct {
	Source
	mu     sync.Mutex
	chunks int
	which  map[uint32]bool
}

func (c *counting) Chunk(size uint64, i uint32) ([]byte, error) {
	c.mu.Lock()
	c.chunks++
	if c.which != nil {
		c.which[i] = true
	}
	c.mu.Unlock()
	return c.Source.Chunk(size, i)
}

// forget begins to note which chunks are asked for.
func (c *counting) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.which = map[uint32]bool{}
}

func (c *counting) asked() map[uint32]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.which)
}

// together has no chunk before all were asked for one: else two may bring everything
// before the third is reached.
type together struct {
	*history
	asked    func()
	all, end <-chan struct{}
}

func (s *together) Chunk(size uint64, i uint32) ([]byte, error) {
	s.asked()
	select {
	case <-s.all:
	case <-s.end:
	}
	return s.history.Chunk(size, i)
}

func TestChunksComeFromEverySource(t *testing.T) {
	h, n := newHistory(t), newNetwork(t, 3)
	var sources []*counting
	all, left := make(chan struct{}), atomic.Int32{}
	left.Store(3)
	for i := range 3 {
		asked := sync.OnceFunc(func() {
			if left.Add(-1) == 0 {
				close(all)
			}
		})
		sources = append(sources, &counting{Source: &together{h, asked, all, n.offence}})
		n.serve(i, sources[i])
	}
	s := &store{}
	if err := n.runStealing(limit, s, h.final()); err != nil || !s.installed {
		t.Fatal(err)
	}
	total := 0
	for i, c := range sources {
		total += c.chunks
		if c.chunks == 0 {
			t.Errorf("source %d brought nothing", i)
		}
	}
	if total != Chunks || len(n.blamed) > 0 {
		t.Errorf("%d chunks were asked for, and %v blamed", total, n.blamed)
	}
}

// What was verified before our own store failed is not asked for again.
func TestAnInterruptedFetchGoesOn(t *testing.T) {
	h, n := newHistory(t), newNetwork(t, 1)
	src := &counting{Source: h}
	n.serve(0, src)
	s := &store{failAt: 3000}
	if err := n.run(s, h.final()); err == nil || spec.CodeOf(err) != "" || len(n.blamed) > 0 {
		t.Fatalf("our own fault: %v, blamed %v", err, n.blamed)
	}
	had := maps.Clone(s.have[0])
	src.forget() // a request of the first fetch may still arrive, for what it did not get
	if err := n.run(s, h.final()); err != nil || !s.installed {
		t.Fatal(err)
	}
	asked := src.asked()
	for i := range uint32(Chunks) {
		if _, verified := had[i]; verified == asked[i] {
			t.Fatalf("chunk %d was verified before: %v, and asked for again: %v", i, verified, asked[i])
		}
	}
}

// poisoned answers for a few chunks with what change makes of them.
type poisoned struct {
	*history
	change func([]byte) []byte
}

func (p *poisoned) Chunk(size uint64, i uint32) ([]byte, error) {
	b, err := p.history.Chunk(size, i)
	if i%50 == 7 {
		b = p.change(slices.Clone(b))
	}
	return b, err
}

// patient has no chunk before somebody was found to offend: else it may have sent all
// before the other was looked at. Whoever asks it may lose patience meanwhile.
type patient struct {
	*history
	offence chan struct{}
}

func (p *patient) Chunk(size uint64, i uint32) ([]byte, error) {
	<-p.offence
	return p.history.Chunk(size, i)
}

func TestPoisonedChunksCostTheirSender(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"a flipped bit": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"truncated":     func(b []byte) []byte { return b[:len(b)-1] },
		"empty":         func([]byte) []byte { return nil },
		"of another":    func([]byte) []byte { return content(0, 8) },
		"too large":     func([]byte) []byte { return make([]byte, MaxChunk+1) },
	} {
		t.Run(name, func(t *testing.T) {
			h, n := newHistory(t), newNetwork(t, 2)
			n.serve(0, &poisoned{h, change})
			n.serve(1, &patient{h, n.offence})
			s := &store{}
			if err := n.run(s, h.final()); err != nil || !s.installed {
				t.Fatal(err)
			}
			if !n.offended(0) || n.offended(1) {
				t.Fatalf("blamed: %v", n.blamed)
			}
		})
	}
}

// forged answers with manifests that change makes.
type forged struct {
	*history
	change func(m *Manifest)
}

func (f *forged) Manifest(size, upto uint64) (*Manifest, error) {
	m, err := f.history.Manifest(size, upto)
	if err == nil {
		m.ChunkRoots, m.RuleRoots, m.Frontier = slices.Clone(m.ChunkRoots), slices.Clone(m.RuleRoots), slices.Clone(m.Frontier)
		f.change(m)
	}
	return m, err
}

func TestForgedManifestsAreRefused(t *testing.T) {
	other := newHistory(t)
	for name, change := range map[string]func(m *Manifest){
		"a root of a chunk": func(m *Manifest) { m.ChunkRoots[9][0] ^= 1 },
		"a root of rules":   func(m *Manifest) { m.RuleRoots[9][0] ^= 1 },
		"the frontier":      func(m *Manifest) { m.Frontier[0][0] ^= 1 },
		"another leaf":      func(m *Manifest) { m.Leaf = []byte{1} },
		"another size":      func(m *Manifest) { m.Size-- },
		"no frontier":       func(m *Manifest) { m.Frontier = nil },
		"few roots":         func(m *Manifest) { m.ChunkRoots = m.ChunkRoots[:1] },
		"size zero":         func(m *Manifest) { m.Size = 0 },
		"beyond the log":    func(m *Manifest) { m.Size = 1 << 50 },
		"a long proof":      func(m *Manifest) { m.Proof = make([]spec.Hash, 65) },
		"too large":         func(m *Manifest) { m.Leaf = make([]byte, MaxManifest) },
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, 1)
			n.serve(0, &forged{other, change})
			s := &store{}
			if err := n.run(s, other.final()); spec.CodeOf(err) != spec.CodeUnavailable || s.m != nil {
				t.Fatalf("bootstrapped from it: %v", err)
			}
			if !n.offended(0) {
				t.Fatalf("blamed: %v", n.blamed)
			}
		})
	}
}

func TestWhenASnapshotPays(t *testing.T) {
	b := NewBootstrapper(&store{}, Options{})
	for _, c := range []struct {
		have, target uint64
		want         bool
	}{{0, 65_535, false}, {0, 65_536, true}, {40_000, 70_000, false}, {40_000, 140_000, true}, {131_072, 140_000, false}} {
		if got := b.Wanted(c.have, c.target); got != c.want {
			t.Errorf("from %d to %d: %v", c.have, c.target, got)
		}
	}
}
