// SPDX-License-Identifier: Apache-2.0

package fanout

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

const origin = "bench.example/0123456789abcdef"

// A council makes a log final.
type council struct {
	*tlog.Panel
	keys []ed25519.PrivateKey
}

func newCouncil(members int) (*council, error) {
	c := &council{}
	of := &spec.Panel{K: uint64(tlog.Quorum(members))}
	for i := range members {
		seed := sha256.Sum256(fmt.Appendf(nil, "fanout %d", i))
		key := ed25519.NewKeyFromSeed(seed[:])
		c.keys = append(c.keys, key)
		of.Seats = append(of.Seats, spec.Seat{Org: fmt.Sprintf("org-%d", i), Key: spec.PublicKey(key.Public().(ed25519.PublicKey))})
	}
	var err error
	c.Panel, err = tlog.NewPanel(origin, of)
	return c, err
}

// note is a checkpoint that just enough members cosigned.
func (c *council) note(size uint64, root spec.Hash, at time.Time) ([]byte, error) {
	s := &tlog.Signed{Checkpoint: tlog.Checkpoint{Origin: origin, Size: size, Root: root}}
	for i := range c.K() {
		s.Cosignatures = append(s.Cosignatures, tlog.Cosign(s.Checkpoint, fmt.Sprintf("org-%d", i), c.keys[i], uint64(at.Unix())))
	}
	return c.Panel.Note(s)
}

// A memLog is a log in memory: the source of members, and the replica of a reader,
// in which a leaf can be looked up as soon as it is appended.
type memLog struct {
	mu      sync.RWMutex
	tree    tlog.Memory
	groups  []federation.Group
	listed  map[spec.Hash]struct{} // leaves that can be looked up
	size    uint64                 // final
	note    []byte
	told    federation.Final
	changed chan struct{}
	seen    func(size uint64) // told what was appended, or nil
}

func newLog() *memLog { return &memLog{listed: map[spec.Hash]struct{}{}, changed: make(chan struct{})} }

func (m *memLog) put(g federation.Group) {
	for _, l := range g.Leaves {
		h := spec.LeafHash(l)
		m.tree.Add(h)
		m.listed[h] = struct{}{}
	}
	m.groups = append(m.groups, g)
}

func (m *memLog) has(leaf []byte) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, ok := m.listed[spec.LeafHash(leaf)]
	return ok
}

// final makes a note what is served.
func (m *memLog) final(size uint64, note []byte) {
	m.size, m.note = size, note
	close(m.changed)
	m.changed = make(chan struct{})
}

// Final implements federation.Source.
func (m *memLog) Final() (uint64, []byte) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.size, m.note
}

// Size implements federation.Replica.
func (m *memLog) Size() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.tree.Size
}

// LogHash implements federation.Replica.
func (m *memLog) LogHash(level int, index uint64) (spec.Hash, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.tree.LogHash(level, index)
}

// Prove implements federation.Source.
func (m *memLog) Prove(old, size uint64) ([]spec.Hash, error) { return tlog.Consistency(m, old, size) }

// Read implements federation.Source.
func (m *memLog) Read(_ context.Context, _ string, from uint64, maxBytes int) ([]federation.Group, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	i := len(m.groups)
	for i > 0 && m.groups[i-1].First >= from {
		i--
	}
	var out []federation.Group
	for _, g := range m.groups[i:] {
		for _, l := range g.Leaves {
			maxBytes -= len(l)
		}
		if g.Next() > m.size || maxBytes < 0 && len(out) > 0 {
			break
		}
		out = append(out, g)
	}
	return out, nil
}

// Wait implements federation.Source.
func (m *memLog) Wait(ctx context.Context, size uint64) error {
	for {
		m.mu.RLock()
		now, changed := m.size, m.changed
		m.mu.RUnlock()
		if now > size {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Append implements federation.Replica.
func (m *memLog) Append(groups []federation.Group, ready func() error) error {
	if err := ready(); err != nil {
		return err
	}
	m.mu.Lock()
	for _, g := range groups {
		m.put(g)
	}
	size := m.tree.Size
	m.mu.Unlock()
	if m.seen != nil {
		m.seen(size)
	}
	m.serve()
	return nil
}

// Check implements federation.Replica.
func (m *memLog) Check(s *tlog.Signed) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.tree.Root() != s.Root {
		return spec.Errorf(spec.CodeCorrupt, "another root")
	}
	return nil
}

// shown is told what is final here, or will be in a moment.
func (m *memLog) shown(f federation.Final) {
	m.mu.Lock()
	m.told = f
	m.mu.Unlock()
	m.serve()
}

func (m *memLog) serve() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.told.Signed != nil && m.told.Size <= m.tree.Size && m.told.Size > m.size {
		m.final(m.told.Size, m.told.Note)
	}
}

// marks keep a mark in memory.
type marks struct {
	mu   sync.Mutex
	mark federation.Mark
}

func (k *marks) Mark() federation.Mark {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mark
}

func (k *marks) Raise(m federation.Mark) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mark = m
	return nil
}
