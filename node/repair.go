// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation/state"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

// maxRepaired bounds how many buckets are repaired at once: of a store with more
// damage all is better fetched again.
const maxRepaired = 64

// repairTimeout is for all questions to one peer.
const repairTimeout = time.Minute

// RepairStore implements api.Backend: it hashes the live signals again, goes down
// to the damaged buckets beside the tree of a member that is verified against what
// is final, and takes these buckets from its chunks.
func (n *Node) RepairStore(ctx context.Context) (*api.RepairReport, error) {
	check, err := n.store.CheckLive(ctx)
	if err != nil {
		return nil, err
	}
	r := &repairing{n: n, check: check, report: &api.RepairReport{}, left: map[uint64]string{}}
	damaged := check.Damaged(0, 0)
	for _, peer := range n.directory.members() {
		if peer == n.host.ID() {
			continue
		}
		r.with(ctx, peer)
		if damaged && r.named && len(r.left) == 0 {
			break
		}
	}
	for _, b := range slices.Sorted(maps.Keys(r.left)) {
		r.report.Buckets = append(r.report.Buckets, api.RepairedBucket{Bucket: uint32(b), Of: 1 << storage.LiveBits, Reason: r.left[b]})
	}
	if damaged && !r.named {
		return r.report, spec.Errorf(spec.CodeUnavailable, "the live signals are damaged, and no member has a snapshot to compare them with")
	}
	return r.report, nil
}

// repairing is one repair under way.
type repairing struct {
	n      *Node
	check  *storage.LiveCheck
	report *api.RepairReport
	named  bool              // the damaged buckets are known
	left   map[uint64]string // damaged buckets, and why they are still
}

// with compares with one peer and repairs from it.
func (r *repairing) with(ctx context.Context, peer p2p.PeerID) {
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	org, _ := r.n.directory.organisation(peer)
	p := &peerState{org: org.ID}
	err := p.open(ctx, r.n, peer)
	if err == nil {
		defer p.client.Close()
		err = r.compare(p)
	}
	says := "agrees on the state at that size"
	if err != nil {
		says = err.Error()
	}
	r.report.Peers = append(r.report.Peers, api.ComparedPeer{Organisation: p.org, Size: p.size(), Answers: p.answers, Says: says})
}

func (r *repairing) compare(p *peerState) error {
	if err := r.n.agrees(p.manifest); err != nil {
		return err
	}
	if !r.named {
		if err := r.down(p, 0, 0, p.root.LiveRoot); err != nil {
			return err
		}
		r.named = true
	}
	for _, b := range slices.Sorted(maps.Keys(r.left)) {
		index := storage.ChunkOfBucket(b)
		ask := p.client.Chunk
		if r.n.keyed {
			ask = p.client.Keys
		}
		chunk, err := ask(p.manifest.Size, index)
		if err != nil {
			return err
		}
		err = r.n.store.RepairLive(uint32(b), chunk, p.manifest.ChunkRoots[index])
		if spec.CodeOf(err) == spec.CodeCorrupt {
			r.left[b] = err.Error()
			continue
		}
		if err != nil {
			return err
		}
		delete(r.left, b)
		r.report.Buckets = append(r.report.Buckets, api.RepairedBucket{Bucket: uint32(b), Of: 1 << storage.LiveBits, Repaired: true, From: p.org})
	}
	return nil
}

// down finds the damaged buckets below a node, whose hash at the peer's size is
// given. Each answer is checked under it.
func (r *repairing) down(p *peerState, level int, index uint64, node spec.Hash) error {
	if !r.check.Damaged(level, index) || len(r.left) >= maxRepaired {
		return nil
	}
	if level == storage.LiveBits {
		r.left[index] = "no chunk of it could be had"
		return nil
	}
	hashes, err := p.client.Nodes(p.manifest.Size, state.LiveTree, level, index, node)
	if err != nil {
		return err
	}
	p.answers++
	below := min(level+storage.NodeLevels, storage.LiveBits)
	if len(hashes) != 1<<(below-level) {
		return spec.Errorf(spec.CodeMalformed, "%d hashes below a node", len(hashes))
	}
	for i, h := range hashes {
		if err := r.down(p, below, index<<(below-level)+uint64(i), h); err != nil {
			return err
		}
	}
	return nil
}

// agrees compares the roots of the state that a manifest leads to with those in
// this node's own log.
func (n *Node) agrees(m *state.Manifest) error {
	leaves, err := n.store.Leaves(m.Size-1, 1)
	if err != nil {
		return err
	}
	if len(leaves) == 0 || string(leaves[0]) != string(m.Leaf) {
		return spec.Errorf(spec.CodeForked, "the roots of the state at %d differ", m.Size)
	}
	return nil
}

// A peerState is a peer's newest snapshot, verified against what is final.
type peerState struct {
	org      string
	client   *state.Client
	manifest *state.Manifest
	root     *spec.StateRoot
	answers  int
}

func (p *peerState) size() uint64 {
	if p.manifest == nil {
		return 0
	}
	return p.manifest.Size
}

func (p *peerState) open(ctx context.Context, n *Node, peer p2p.PeerID) error {
	final := n.final.Newest()
	upto := min(final.Size, n.store.Size())
	root, err := tlog.Root(n.store, upto)
	if err != nil {
		return err
	}
	if p.client, err = state.Dial(ctx, n.host, peer); err != nil {
		return err
	}
	m, err := p.client.Manifest(0, upto)
	if err == nil {
		p.root, err = m.Verify(tlog.Checkpoint{Origin: n.chain.Origin, Size: upto, Root: root})
	}
	if err != nil {
		p.client.Close()
		return err
	}
	p.manifest = m
	return nil
}
