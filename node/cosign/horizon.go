// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A Replica replays groups of leaves by the rules.
type Replica interface {
	Size() uint64
	// Replay applies groups in one batch and commits it if check, given the size
	// and the log's root behind the last, agrees. Otherwise nothing changes.
	Replay(groups []federation.Group, check func(size uint64, root spec.Hash) error) error
}

// maxHeld is how many bytes of groups a Horizon holds before it asks for a proof
// that what it has belongs to the final log.
const maxHeld = 8 << 20

// A Horizon stands between a follower and its replica: it lets through what a
// final checkpoint covers and nothing else. Groups wait in memory until the
// checkpoint comes that ends with them; a long stretch is let through in parts,
// each with a proof that the final log begins with it.
//
// The newest final checkpoint is durable before anything that rests on it can be
// seen, and never goes back.
type Horizon struct {
	panel   *tlog.Panel
	replica Replica
	final   *Keeper
	prove   Prover

	mu      sync.Mutex
	from    p2p.PeerID
	held    []federation.Group
	bytes   int
	halted  error
	pending *tlog.Signed // newest seen, not yet reached
	onFork  func(*Evidence)
	view    atomic.Pointer[view]
}

// A view is what others may ask without waiting for a replay.
type view struct {
	end    uint64 // of what is held, 0: nothing is
	final  uint64 // newest final size seen
	halted error
}

// show brings the view in line. Caller holds mu.
func (h *Horizon) show() {
	v := &view{halted: h.halted}
	if n := len(h.held); n > 0 {
		v.end = h.held[n-1].Next()
	}
	if h.pending != nil {
		v.final = h.pending.Size
	}
	h.view.Store(v)
}

// A Prover asks a peer to prove that the log of size leaves begins with that of
// old leaves.
type Prover func(ctx context.Context, from p2p.PeerID, old, size uint64) ([]spec.Hash, error)

// NewHorizon makes a Horizon. onFork is told when two final checkpoints exclude
// each other; it must not block.
func NewHorizon(p *tlog.Panel, r Replica, k *Keeper, prove Prover, onFork func(*Evidence)) *Horizon {
	h := &Horizon{panel: p, replica: r, final: k, prove: prove, pending: k.Signed(), onFork: onFork}
	h.show()
	return h
}

// Size implements federation.Sink: what is held counts.
func (h *Horizon) Size() uint64 {
	if end := h.view.Load().end; end > 0 {
		return end
	}
	return h.replica.Size()
}

// Halted says that two final checkpoints exclude each other, or nil. The replica
// then stays as it is for good.
func (h *Horizon) Halted() error { return h.view.Load().halted }

// Complete reports whether all that is known to be final can be seen.
func (h *Horizon) Complete() bool {
	v := h.view.Load()
	return v.halted == nil && v.final > 0 && h.replica.Size() >= v.final
}

// Reset forgets what is held: the follower lost its upstream.
func (h *Horizon) Reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop()
	h.show()
}

func (h *Horizon) drop() { h.held, h.bytes = nil, 0 }

func (h *Horizon) end() uint64 {
	if n := len(h.held); n > 0 {
		return h.held[n-1].Next()
	}
	return h.replica.Size()
}

// Append implements federation.Sink.
func (h *Horizon) Append(ctx context.Context, g federation.Group) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.show()
	if h.halted != nil {
		return h.halted
	}
	if g.First != h.end() {
		return spec.Errorf(spec.CodeReplica, "a group begins at %d where the log ends at %d", g.First, h.end())
	}
	h.held = append(h.held, g)
	h.bytes += weight(&g)
	return h.release(ctx)
}

// OnHead takes the checkpoint in an upstream's head.
func (h *Horizon) OnHead(from p2p.PeerID, head federation.Head) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.show()
	h.from = from
	if len(head.Body) == 0 || h.halted != nil {
		return h.halted
	}
	s, err := h.panel.OpenFinal(head.Body)
	if err != nil {
		return err
	}
	newest := h.final.Newest()
	switch {
	case s.Size < newest.Size:
		return nil // an upstream that is behind
	case s.Size == newest.Size:
		err := h.final.Advance(s)
		if err != nil {
			h.halt(err, newest, head.Body)
		}
		return err
	case h.pending == nil || s.Size > h.pending.Size:
		h.pending = s
	}
	return h.release(context.Background())
}

// release lets through what the pending checkpoint covers.
func (h *Horizon) release(ctx context.Context) error {
	if h.pending == nil || len(h.held) == 0 {
		return nil
	}
	upto := h.covered(h.pending.Size)
	if upto == 0 || h.held[upto-1].Next() != h.pending.Size && h.bytes < maxHeld {
		return nil
	}
	err := h.replica.Replay(h.held[:upto], func(size uint64, root spec.Hash) error { return h.allow(ctx, size, root) })
	if err != nil {
		h.drop()
		return err
	}
	h.held = slices.Clone(h.held[upto:])
	h.bytes = 0
	for i := range h.held {
		h.bytes += weight(&h.held[i])
	}
	return nil
}

func weight(g *federation.Group) int {
	n := 0
	for _, l := range g.Leaves {
		n += len(l)
	}
	for _, o := range g.Openings {
		n += len(o.Bytes)
	}
	return n
}

// halt ends following for good and hands the proof on.
func (h *Horizon) halt(err error, newest Final, other []byte) {
	h.drop()
	h.halted = err
	if h.onFork != nil {
		h.onFork(&Evidence{Conflict: other, Final: newest.Note, Root: newest.Root})
	}
}

// covered is how many of the held groups end within size.
func (h *Horizon) covered(size uint64) int {
	n := 0
	for n < len(h.held) && h.held[n].Next() <= size {
		n++
	}
	return n
}

// allow decides whether a log of this size and root may be seen: it is the final
// one, or the final one begins with it.
func (h *Horizon) allow(ctx context.Context, size uint64, root spec.Hash) error {
	final := h.pending
	var proof []spec.Hash
	if size != final.Size {
		var err error
		if proof, err = h.prove(ctx, h.from, size, final.Size); err != nil {
			return spec.Errorf(spec.CodeProof, "no proof that the final log begins with what was sent: %w", err)
		}
	}
	if err := tlog.CheckConsistency(proof, size, root, final.Size, final.Root); err != nil {
		return spec.Errorf(spec.CodeReplica, "what was sent is not the log that is final at size %d", final.Size)
	}
	if size != final.Size {
		return nil
	}
	if err := h.final.Advance(final); err != nil {
		return err
	}
	return h.final.Sync()
}

var _ federation.Sink = (*Horizon)(nil)
