// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// openChain loads whose cosignatures make the log final, from the genesis document
// on: what was proved, and behind that what this node derived.
func (n *Node) openChain() (err error) {
	if n.chain, err = tlog.NewChain(n.genesis.Genesis); err != nil {
		return err
	}
	n.links = cosign.LinkStore{Dir: n.linksDir()}
	if err := n.links.Load(n.chain); err != nil {
		return err
	}
	return n.learnPanels()
}

func (n *Node) linksDir() string { return filepath.Join(n.cfg.Dir, "final", "handoffs") }

// learnPanels brings the chain up to what the state says.
func (n *Node) learnPanels() error {
	clock, err := governance.Clock(n.store)
	if err != nil {
		return err
	}
	for number := n.chain.Number() + 1; number <= clock.Panel; number++ {
		var r spec.PanelRecord
		if err := readRecord(n.store, spec.PanelKey(number), &r); err != nil {
			return err
		}
		if err := n.chain.Grow(&r.Panel, r.Size, r.From); err != nil {
			return err
		}
	}
	return nil
}

// handedOver keeps the proof that a panel took over, and looks whether this node's
// part changes with it.
func (n *Node) handedOver(number uint64, l *tlog.Link) {
	n.tasks.begin(func(context.Context) {
		if err := n.links.Save(number, l); err != nil {
			n.log.Error("a hand-off is not kept", "panel", number, "error", err)
		}
		n.lookAtPart()
	})
}

// fetchHandOffs asks a peer how the panels took over that are not known or not
// proved here, one after the other until it knows no more.
func (n *Node) fetchHandOffs(ctx context.Context, from p2p.PeerID) error {
	for number := uint64(1); number <= tlog.MaxLinks; number++ {
		if _, known := n.chain.Link(number); known {
			continue
		}
		b, err := n.host.Call(ctx, from, cosign.LogProtocol, []byte(cosign.HandOffPath(number)), tlog.MaxLink)
		if spec.CodeOf(err) == spec.CodeNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		l, err := tlog.ParseLink(b)
		if err != nil {
			return err
		}
		if err := n.chain.Add(l); err != nil {
			return err
		}
		n.handedOver(number, l)
	}
	return nil
}

// askHandOffs is fetchHandOffs with a limit of time. A link proves itself, so that
// any sequencer may have it where this peer does not.
func (n *Node) askHandOffs(ctx context.Context, from p2p.PeerID) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	before := n.chain.Number()
	var err error
	if from != "" {
		err = n.fetchHandOffs(ctx, from)
	}
	for _, peer := range n.sequencerPeers() {
		if n.chain.Number() > before {
			return nil
		}
		if peer != from && peer != n.host.ID() {
			err = errors.Join(err, n.fetchHandOffs(ctx, peer))
		}
	}
	return err
}

// keepHandOffs asks every member once how panels took over since this node last ran,
// because those that it knows as sequencers may have been replaced; then it fetches
// the proofs that are missing on a node that derived the panels itself and did not see
// the hand-off become final.
func (n *Node) keepHandOffs(ctx context.Context) {
	asked := map[p2p.PeerID]bool{}
	for ctx.Err() == nil {
		n.askEach(ctx, asked)
		if n.unproved() {
			for _, peer := range n.directory.members() {
				if peer != n.host.ID() && n.unproved() {
					if err := n.askHandOffs(ctx, peer); err != nil {
						n.log.Debug("asking for hand-offs", "peer", string(peer), "error", err)
					}
				}
			}
		}
		if err := n.askWhetherLeft(ctx); err != nil {
			n.log.Debug("asking what is final", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-n.after(time.Second):
		}
	}
}

// askWhetherLeft asks for the newest final checkpoint on a sequencer that is named no
// more: raft may leave it out before it hears that the next panel took over, and
// nobody would tell it.
func (n *Node) askWhetherLeft(ctx context.Context) error {
	named, err := governance.Sequencers(n.store)
	if err != nil || slices.Contains(named, n.id.Organisation.ID) {
		return err
	}
	for _, peer := range n.sequencerPeers() {
		if peer == n.host.ID() {
			continue
		}
		turn, cancel := context.WithTimeout(ctx, 10*time.Second)
		note, err := n.host.Call(turn, peer, cosign.LogProtocol, []byte("checkpoint"), tlog.MaxNote)
		cancel()
		if err != nil {
			continue
		}
		if err := n.takeFinal(note); err != nil {
			return err
		}
	}
	n.lookAtPart()
	return nil
}

// takeFinal takes a final checkpoint, unless this node's own log contradicts it.
func (n *Node) takeFinal(note []byte) error {
	s, err := n.chain.OpenFinal(note)
	if err != nil {
		return err
	}
	if s.Size <= n.store.Size() {
		root, err := tlog.Root(n.store, s.Size)
		if err != nil {
			return err
		}
		if root != s.Root {
			return spec.Errorf(spec.CodeForked, "a final checkpoint of size %d is not of this node's log", s.Size)
		}
	}
	return n.final.Advance(s)
}

// askEach asks those members that have not answered yet, and what they saw this node
// cosign.
func (n *Node) askEach(ctx context.Context, asked map[p2p.PeerID]bool) {
	if n.askMembers(ctx, asked, func(ctx context.Context, peer p2p.PeerID) error {
		err := errors.Join(n.fetchHandOffs(ctx, peer), n.askWhatItCosigned(ctx, peer))
		if err != nil {
			n.log.Debug("asking for hand-offs", "peer", string(peer), "error", err)
		}
		return err
	}) {
		n.asked.Store(true)
	}
}

// askMembers asks those members that are not in asked, at once and for three seconds at
// most, notes who answered, and reports whether none is left.
func (n *Node) askMembers(ctx context.Context, asked map[p2p.PeerID]bool, ask func(context.Context, p2p.PeerID) error) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	all := true
	left := slices.DeleteFunc(n.directory.members(), func(id p2p.PeerID) bool { return id == n.host.ID() || asked[id] })
	for _, peer := range left {
		wg.Go(func() {
			err := ask(ctx, peer)
			mu.Lock()
			defer mu.Unlock()
			asked[peer] = err == nil
			all = all && err == nil
		})
	}
	wg.Wait()
	return all
}

// A readerPanel is how a node that follows reads checkpoints: where the panels that
// it knows do not make one final, it asks for hand-offs, until ctx ends.
type readerPanel struct {
	n   *Node
	ctx context.Context
}

// OpenFinal implements federation.Panel.
func (p readerPanel) OpenFinal(note []byte) (*tlog.Signed, error) {
	s, err := p.n.chain.OpenFinal(note)
	if spec.CodeOf(err) != spec.CodeNotFinal {
		return s, err
	}
	if err := p.n.askHandOffs(p.ctx, ""); err != nil {
		p.n.log.Debug("asking for hand-offs", "error", err)
	}
	return p.n.chain.OpenFinal(note)
}

// Time implements federation.Panel.
func (p readerPanel) Time(s *tlog.Signed) uint64 { return p.n.chain.Time(s) }

// Number implements federation.Panel.
func (p readerPanel) Number() uint64 { return p.n.chain.Number() }

// known reports whether the panel of a number was handed over to, and asks for that
// where it is not known yet.
func (p readerPanel) known(number uint64) bool {
	if number > p.Number() {
		if err := p.n.askHandOffs(p.ctx, ""); err != nil {
			p.n.log.Debug("asking for hand-offs", "error", err)
		}
	}
	return number <= p.Number()
}

// unproved reports whether a final hand-off lacks its proof.
func (n *Node) unproved() bool {
	final := n.final.Newest().Size
	for number := uint64(1); number <= n.chain.Number(); number++ {
		_, size, _ := n.chain.Panel(number)
		if _, known := n.chain.Link(number); !known && size < final {
			return true
		}
	}
	return false
}
