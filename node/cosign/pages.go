// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"cmp"
	"slices"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// maxPages bounds the sizes of which one organisation's claims are kept.
const maxPages = 1024

// Receive takes a request of another sequencer and returns the answer. It may be
// called by many goroutines. An error is the sender's fault.
func (c *Cosigner) Receive(org string, data []byte) ([]byte, error) {
	r, err := parseRequest(data)
	if err != nil {
		return nil, err
	}
	if c.peers[org] == nil {
		return nil, spec.Errorf(spec.CodeDenied, "%q is not a sequencer", org)
	}
	for i := range r.Claims {
		sig := r.Claims[i].cosignature(org)
		if !c.cfg.Panel.Verify(r.Claims[i].checkpoint(c.cfg.Panel.Origin), &sig) {
			return nil, spec.Errorf(spec.CodeCheckpoint, "a cosignature does not hold")
		}
	}
	c.mu.Lock()
	final := c.cfg.Final.Newest()
	for _, cl := range r.Claims {
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

// put notes a claim. Caller holds mu.
func (c *Cosigner) put(org string, cl claim) {
	p := c.pages[cl.Size]
	if p == nil {
		p = &page{claims: map[string]claim{}}
		c.pages[cl.Size] = p
	}
	have, ok := p.claims[org]
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
	p.claims[org] = cl
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
	if c.refused == nil && !c.ready() {
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
		for _, org := range p.orgs() {
			cl := p.claims[org]
			if cl.Root != root {
				c.conflict(org, cl, root)
				delete(p.claims, org)
				c.held[org]--
				continue
			}
			if org != c.cfg.Org {
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
		if mine, ok := p.claims[c.cfg.Org]; !ok || newest >= mine.Time+renew {
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

func (p *page) orgs() []string {
	out := make([]string, 0, len(p.claims))
	for org := range p.claims {
		out = append(out, org)
	}
	slices.Sort(out)
	return out
}

// tally makes sizes final that enough sequencers cosigned and this node
// recomputed, and forgets the pages behind.
func (c *Cosigner) tally(size uint64) error {
	for _, s := range c.sizes() {
		p := c.pages[s]
		if s > size || len(p.claims) < c.cfg.Panel.K {
			continue
		}
		root, err := tlog.Root(c.cfg.Log, s)
		if err != nil {
			return err
		}
		signed := &tlog.Signed{Checkpoint: tlog.Checkpoint{Origin: c.cfg.Panel.Origin, Size: s, Root: root}}
		for _, org := range p.orgs() {
			if cl := p.claims[org]; cl.Root == root {
				signed.Cosignatures = append(signed.Cosignatures, cl.cosignature(org))
			}
		}
		if !c.cfg.Panel.Final(signed) {
			continue
		}
		if err := c.cfg.Final.Advance(signed); err != nil {
			return err
		}
	}
	final := c.cfg.Final.Newest().Size
	for _, s := range c.sizes() {
		if s < final {
			for org := range c.pages[s].claims {
				c.held[org]--
			}
			delete(c.pages, s)
		}
	}
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
	s, err := c.cfg.Panel.OpenFinal(note)
	if err != nil {
		c.cfg.Logger.Warn("a sequencer sent what is not a final checkpoint", "organisation", org, "error", err)
		return
	}
	c.checkOwn(s)
	if c.ahead == nil || s.Size > c.ahead.Size {
		c.ahead = s
	}
}

// checkOwn looks for this node's own cosignature in a final checkpoint: one that
// its store does not know means that the store, or the whole node, went back.
func (c *Cosigner) checkOwn(s *tlog.Signed) {
	if c.refused != nil {
		return
	}
	mark := c.cfg.Store.Mark()
	own := slices.ContainsFunc(s.Cosignatures, func(x tlog.Cosignature) bool { return x.Org == c.cfg.Org })
	if own && (s.Size > mark.Size || s.Size == mark.Size && s.Root != mark.Root) {
		c.refuse(spec.Errorf(spec.CodeForked,
			"this node cosigned size %d, but its store of cosigned checkpoints ends at %d: it was restored from an old copy, or its key is used elsewhere", s.Size, mark.Size))
	}
}

// settleAhead takes over a final checkpoint that came from a peer once this node
// has recomputed it.
func (c *Cosigner) settleAhead(size uint64) error {
	s := c.ahead
	if s == nil || s.Size > size {
		return nil
	}
	c.ahead = nil
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

// byOrg orders cosignatures.
func byOrg(a, b tlog.Cosignature) int { return cmp.Compare(a.Org, b.Org) }
