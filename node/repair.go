// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
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

// RepairStore implements api.Backend: it hashes the live signals and the records of
// the rules again, goes down to the damaged buckets beside the tree of a peer that
// is verified against what is final, and takes these buckets from its chunks.
func (n *Node) RepairStore(ctx context.Context) (*api.RepairReport, error) {
	live, err := n.store.CheckLive(ctx)
	if err != nil {
		return nil, err
	}
	rules, err := n.store.CheckRules(ctx)
	if err != nil {
		return nil, err
	}
	r := &repairing{n: n, report: &api.RepairReport{}, trees: []*treeRepair{n.liveRepair(live), n.rulesRepair(rules)}}
	damaged := live.Damaged(0, 0) || rules.Damaged(0, 0)
	for _, peer := range n.comparable() {
		r.with(ctx, peer)
		if damaged && r.done() {
			break
		}
	}
	if !damaged {
		return r.report, nil
	}
	if err := r.settle(ctx); err != nil {
		return nil, err
	}
	if !r.named() {
		return r.report, n.noSnapshot()
	}
	return r.report, nil
}

// noSnapshot says that a damaged store cannot be repaired by peers, and to a node that
// runs what helps.
func (n *Node) noSnapshot() error {
	advice := ": stop the node, and run tocsin operator verify --peers, which makes the store anew from the node's own log"
	if n.mending {
		advice = ""
	}
	return spec.Errorf(spec.CodeUnavailable, "the store is damaged, and nobody that can be asked has a snapshot to compare it with%s", advice)
}

// comparable lists the peers to compare with: those that this node follows by
// configuration, who can be reached, and the members.
func (n *Node) comparable() []p2p.PeerID {
	peers := slices.Clone(n.pinned)
	for _, id := range n.otherMembers() {
		if !slices.Contains(peers, id) {
			peers = append(peers, id)
		}
	}
	return peers
}

// repairing is one repair under way.
type repairing struct {
	n      *Node
	report *api.RepairReport
	trees  []*treeRepair
}

// A treeRepair is the damage of one tree.
type treeRepair struct {
	name  string
	tree  int // as the state protocol counts them
	bits  int // level of the buckets
	check *storage.TreeCheck
	root  func(*spec.StateRoot) spec.Hash
	take  func(p *peerState, bucket uint32) error // puts a bucket in place from a peer's chunk
	named bool                                    // the damaged buckets are known
	left  map[uint64]string                       // damaged buckets, and why they are still
}

func (n *Node) liveRepair(c *storage.TreeCheck) *treeRepair {
	return &treeRepair{
		name: "live signals", tree: state.LiveTree, bits: storage.LiveBits, check: c, left: map[uint64]string{},
		root: func(r *spec.StateRoot) spec.Hash { return r.LiveRoot },
		take: func(p *peerState, bucket uint32) error {
			index := storage.ChunkOfBucket(uint64(bucket))
			ask := p.client.Chunk
			if n.keyed {
				ask = p.client.Keys
			}
			chunk, err := ask(p.manifest.Size, index)
			if err != nil {
				return err
			}
			return n.store.RepairLive(bucket, chunk, p.manifest.ChunkRoots[index])
		},
	}
}

func (n *Node) rulesRepair(c *storage.RuleCheck) *treeRepair {
	return &treeRepair{
		name: "rules", tree: state.RuleTree, bits: storage.RuleBits, check: &c.TreeCheck, left: map[uint64]string{},
		root: func(r *spec.StateRoot) spec.Hash { return r.RulesRoot },
		take: func(p *peerState, bucket uint32) error {
			index := storage.RuleChunkOfBucket(uint64(bucket))
			chunk, err := p.client.Rules(p.manifest.Size, index)
			if err != nil {
				return err
			}
			return n.store.RepairRules(c, bucket, chunk, p.manifest.RuleRoots[index])
		},
	}
}

// named reports whether all damaged buckets are known.
func (r *repairing) named() bool {
	return !slices.ContainsFunc(r.trees, func(t *treeRepair) bool { return !t.named })
}

// done reports whether nothing is left to do.
func (r *repairing) done() bool {
	return r.named() && !slices.ContainsFunc(r.trees, func(t *treeRepair) bool { return len(t.left) > 0 })
}

// settle reports what is damaged still, whether it was tried to repair it or not,
// which keeps the node from cosigning. Once nothing is, it cosigns again, and reads
// again what it may have read from damaged records.
func (r *repairing) settle(ctx context.Context) error {
	for _, t := range r.trees {
		for _, b := range slices.Sorted(maps.Keys(t.left)) {
			r.report.Buckets = append(r.report.Buckets, api.RepairedBucket{Tree: t.name, Bucket: uint32(b), Of: 1 << t.bits, Reason: t.left[b]})
		}
	}
	v, err := r.n.VerifyStore(ctx)
	if err != nil {
		return err
	}
	for _, b := range v.Bad {
		if !slices.ContainsFunc(r.report.Buckets, func(o api.RepairedBucket) bool {
			return !o.Repaired && o.Tree == b.Tree && o.Bucket == b.Bucket
		}) {
			r.report.Buckets = append(r.report.Buckets, api.RepairedBucket{Tree: b.Tree, Bucket: b.Bucket, Of: b.Of, Reason: b.Reason})
		}
	}
	if len(v.Bad) == 0 && !r.n.mending {
		r.n.epoch.Store(0) // so that refresh does not take it for known
		r.n.refresh()
		if r.n.cosigner != nil {
			r.n.cosigner.Resume()
		}
	}
	return nil
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
	var f *p2p.Fault
	switch {
	case errors.As(err, &f) && f.Err.Code == spec.CodeGone && f.MinSize == 0:
		says = "its log has not come to a snapshot size yet"
	case err != nil:
		says = err.Error()
	}
	r.report.Peers = append(r.report.Peers, api.ComparedPeer{Organisation: p.org, Size: p.size(), Answers: p.answers, Says: says})
}

func (r *repairing) compare(p *peerState) error {
	if err := r.n.agrees(p.manifest); err != nil {
		return err
	}
	for _, t := range r.trees {
		if err := r.compareTree(t, p); err != nil {
			return err
		}
	}
	return nil
}

func (r *repairing) compareTree(t *treeRepair, p *peerState) error {
	if !t.named {
		if err := t.down(p, 0, 0, t.root(p.root)); err != nil {
			return err
		}
		t.named = true
	}
	for _, b := range slices.Sorted(maps.Keys(t.left)) {
		err := t.take(p, uint32(b))
		if spec.CodeOf(err) == spec.CodeCorrupt {
			t.left[b] = err.Error()
			continue
		}
		if err != nil {
			return err
		}
		delete(t.left, b)
		r.report.Buckets = append(r.report.Buckets, api.RepairedBucket{Tree: t.name, Bucket: uint32(b), Of: 1 << t.bits, Repaired: true, From: p.org})
	}
	return nil
}

// down finds the damaged buckets below a node, whose hash at the peer's size is
// given. Each answer is checked under it.
func (t *treeRepair) down(p *peerState, level int, index uint64, node spec.Hash) error {
	if !t.check.Damaged(level, index) || len(t.left) >= maxRepaired {
		return nil
	}
	if level == t.bits {
		t.left[index] = "no chunk of it could be had"
		return nil
	}
	hashes, err := p.client.Nodes(p.manifest.Size, t.tree, level, index, node)
	if err != nil {
		return err
	}
	p.answers++
	below := min(level+storage.NodeLevels, t.bits)
	if len(hashes) != 1<<(below-level) {
		return spec.Errorf(spec.CodeMalformed, "%d hashes below a node", len(hashes))
	}
	for i, h := range hashes {
		if err := t.down(p, below, index<<(below-level)+uint64(i), h); err != nil {
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
