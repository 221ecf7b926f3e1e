// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// maxPages bounds the sizes of which one organisation's claims are kept.
const maxPages = 1024

// Receive takes a request of another sequencer and returns the answer. It may be
// called by many goroutines. An error is the sender's fault, or BUSY: this node is
// too far behind to tell whose cosignatures count.
func (c *Cosigner) Receive(org string, data []byte) ([]byte, error) {
	r, err := parseRequest(data)
	if err != nil {
		return nil, err
	}
	if err := c.verify(org, r.Claims); err != nil {
		return nil, err
	}
	c.mu.Lock()
	final := c.cfg.Final.Newest()
	for _, cl := range r.Claims {
		c.remember(org, cl)
		if cl.Size >= final.Size {
			c.put(org, cl)
		} else if err := c.late(org, cl); err != nil {
			c.cfg.Logger.Error("comparing a cosigned checkpoint with the log", "error", err)
		}
	}
	c.mu.Unlock()
	c.poke()
	if final.Size > r.Final && (len(r.Claims) == 0 || r.Claims[len(r.Claims)-1].Size < final.Size) {
		return final.Note, nil // the sender is behind, not just a moment away from knowing
	}
	return nil, nil
}

// verify checks claims. One without a seat that this node knows of is refused if
// its log reaches that far, else the sender is to try again.
func (c *Cosigner) verify(org string, claims []claim) error {
	have := c.cfg.Log.Size()
	for i := range claims {
		cl := &claims[i]
		sig := cl.cosignature(org)
		switch p := c.cfg.Chain.At(cl.Size); {
		case p.Verify(cl.checkpoint(c.cfg.Chain.Origin), &sig):
		case p.Has(spec.Seat{Org: org, Key: cl.Key}):
			return spec.Errorf(spec.CodeCheckpoint, "a cosignature does not hold")
		case cl.Size > have:
			return spec.Errorf(spec.CodeBusy, "this node's log ends at %d", have)
		default:
			return spec.Errorf(spec.CodeDenied, "%q is not a sequencer at size %d", org, cl.Size)
		}
	}
	return nil
}

// counts reports whether this node's cosignatures count now.
func (c *Cosigner) counts() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seated(c.limit(c.cfg.Log.Size()))
}

// put notes a claim. Caller holds mu.
func (c *Cosigner) put(org string, cl claim) {
	p := c.pages[cl.Size]
	if p == nil {
		p = &page{claims: map[spec.Seat]claim{}}
		c.pages[cl.Size] = p
	}
	seat := spec.Seat{Org: org, Key: cl.Key}
	have, ok := p.claims[seat]
	if ok && (have.Root != cl.Root || have.Time >= cl.Time) {
		if have.Root != cl.Root {
			c.twice(org, have, cl)
		}
		return
	}
	if !ok {
		if c.held[org] >= maxPages && org != c.cfg.Org {
			c.drop(cl.Size, p)
			return
		}
		c.held[org]++
	}
	p.claims[seat] = cl
	p.asked = p.asked || org != c.cfg.Org
}

// drop removes a page that nothing stands on.
func (c *Cosigner) drop(size uint64, p *page) {
	if len(p.claims) == 0 {
		delete(c.pages, size)
	}
}

// compare checks the claims of sizes that this node has applied against its own
// log, and returns the sizes that it is to cosign.
func (c *Cosigner) compare(size uint64) (want []uint64, err error) {
	if c.stopped() == nil && !c.ready() {
		return nil, nil // what was asked stays asked
	}
	for _, s := range c.sizes() {
		p := c.pages[s]
		if s > size || !p.asked {
			continue
		}
		p.asked = false
		root, err := tlog.Root(c.cfg.Log, s)
		if err != nil {
			return nil, err
		}
		newest := uint64(0)
		for _, seat := range p.seats() {
			cl := p.claims[seat]
			if cl.Root != root {
				c.conflict(seat.Org, cl, root)
				delete(p.claims, seat)
				c.held[seat.Org]--
				continue
			}
			if seat.Org != c.cfg.Org {
				newest = max(newest, cl.Time)
			}
		}
		c.drop(s, p)
		ends, err := c.endsGroup(s)
		if err != nil {
			return nil, err
		}
		if newest == 0 || !ends {
			continue
		}
		c.name(s)
		if mine, ok := p.mine(c.cfg.Org); !ok || newest >= mine+renew {
			want = append(want, s)
		}
	}
	return want, nil
}

// endsGroup reports whether a group of leaves ends at size: a state that nodes
// commit whole.
func (c *Cosigner) endsGroup(size uint64) (bool, error) {
	leaves, err := c.cfg.Log.Leaves(size-1, 1)
	return len(leaves) > 0 && spec.EndsGroup(leaves[0]), err
}

func (c *Cosigner) sizes() []uint64 {
	out := make([]uint64, 0, len(c.pages))
	for s := range c.pages {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func (p *page) seats() []spec.Seat {
	out := make([]spec.Seat, 0, len(p.claims))
	for seat := range p.claims {
		out = append(out, seat)
	}
	slices.SortFunc(out, func(a, b spec.Seat) int {
		return tlog.Order(tlog.Cosignature{Org: a.Org, Key: a.Key}, tlog.Cosignature{Org: b.Org, Key: b.Key})
	})
	return out
}

// mine is when this node cosigned last, if it did.
func (p *page) mine(org string) (at uint64, ok bool) {
	for seat, cl := range p.claims {
		if seat.Org == org {
			at, ok = max(at, cl.Time), true
		}
	}
	return at, ok
}

// tally makes sizes final that enough sequencers cosigned and this node
// recomputed, and forgets the pages behind.
func (c *Cosigner) tally(size uint64) error {
	for _, s := range c.sizes() {
		p := c.pages[s]
		if s > size {
			continue
		}
		root, err := tlog.Root(c.cfg.Log, s)
		if err != nil {
			return err
		}
		signed := &tlog.Signed{Checkpoint: tlog.Checkpoint{Origin: c.cfg.Chain.Origin, Size: s, Root: root}}
		at := c.cfg.Chain.At(s)
		for _, seat := range p.seats() {
			if cl := p.claims[seat]; cl.Root == root && at.Has(seat) {
				signed.Cosignatures = append(signed.Cosignatures, cl.cosignature(seat.Org))
			}
		}
		if !at.Final(signed) {
			continue
		}
		if s > c.cfg.Final.Newest().Size { // who sees that it is final may ask for it
			if err := c.handOff(signed); err != nil {
				return err
			}
		}
		if err := c.cfg.Final.Advance(signed); err != nil {
			return err
		}
	}
	final := c.cfg.Final.Newest().Size
	for _, s := range c.sizes() {
		if s < final {
			for seat := range c.pages[s].claims {
				c.held[seat.Org]--
			}
			delete(c.pages, s)
		}
	}
	return nil
}

// handOff makes the proof that a panel took over, when a checkpoint that became
// final is where it did.
func (c *Cosigner) handOff(s *tlog.Signed) error {
	number, recovered, ok := c.cfg.Chain.TurnAt(s.Size)
	if !ok {
		return nil
	}
	c.poke() // what waited for it can be named
	if _, known := c.cfg.Chain.Link(number); known || c.cfg.HandOff == nil {
		return nil
	}
	var proof *tlog.Recovery
	if recovered {
		if c.cfg.Recovery == nil {
			return nil
		}
		var err error
		if proof, err = c.cfg.Recovery(number); err != nil || proof == nil {
			return err // another has it
		}
	}
	leaves, err := c.cfg.Log.Leaves(s.Size-2, 1)
	if err != nil || len(leaves) == 0 {
		return err
	}
	l, err := tlog.NewLink(c.cfg.Chain, c.cfg.Log, leaves[0], s, proof)
	if err != nil {
		return err
	}
	if err := c.cfg.Chain.Add(l); err != nil {
		return err
	}
	c.cfg.HandOff(number, l)
	return nil
}

// greeted takes a peer's answer: nothing, or its newest final checkpoint.
func (c *Cosigner) greeted(org string, note []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, org)
	defer c.poke()
	if len(note) == 0 {
		return
	}
	s, err := c.cfg.Chain.OpenFinal(note)
	if spec.CodeOf(err) == spec.CodeNotFinal {
		if c.cfg.Behind != nil {
			c.cfg.Behind(org) // a panel took over that this node does not know
		}
		return
	}
	if err != nil {
		c.cfg.Logger.Warn("a sequencer sent what is not a final checkpoint", "organisation", org, "error", err)
		return
	}
	c.checkOwn(s)
	if c.ahead == nil || s.Size > c.ahead.size {
		c.ahead = &noted{s.Size, note}
	}
}

// checkOwn looks for this node's own cosignature in a final checkpoint: one that
// its store does not know means that the store, or the whole node, went back.
func (c *Cosigner) checkOwn(s *tlog.Signed) {
	if c.refused != nil {
		return
	}
	for i := range c.cfg.Keys {
		k := &c.cfg.Keys[i]
		mark, key := k.Store.Mark(), k.public()
		own := slices.ContainsFunc(s.Cosignatures, func(x tlog.Cosignature) bool { return x.Org == c.cfg.Org && x.Key == key })
		if own && (s.Size > mark.Size || s.Size == mark.Size && s.Root != mark.Root) {
			c.refuse(spec.Errorf(spec.CodeForked,
				"this node cosigned size %d, but its store of cosigned checkpoints ends at %d: it was restored from an old copy, or its key is used elsewhere", s.Size, mark.Size))
		}
	}
}

// settleAhead takes over a final checkpoint that came from a peer once this node
// has recomputed it. The note is read again: panels that this node has learned of
// since may have others' cosignatures in it, and ask for more of them.
func (c *Cosigner) settleAhead(size uint64) error {
	a := c.ahead
	if a == nil || a.size > size {
		return nil
	}
	c.ahead = nil
	s, err := c.cfg.Chain.OpenFinal(a.note)
	if err != nil {
		c.cfg.Logger.Warn("a sequencer sent what the panels that took over since do not make final", "size", a.size, "error", err)
		return nil
	}
	c.checkOwn(s)
	root, err := tlog.Root(c.cfg.Log, s.Size)
	if err != nil {
		return err
	}
	if root != s.Root {
		c.refuse(spec.Errorf(spec.CodeForked, "this node's log differs from the final one at size %d", s.Size))
		return nil
	}
	return c.cfg.Final.Advance(s)
}
