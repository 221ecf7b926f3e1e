// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/spec"
)

// A peer sends this node's cosignatures to one other sequencer. What waits while a
// request is under way goes together in the next one.
type peer struct {
	c    *Cosigner
	org  string
	mu   sync.Mutex
	todo []claim // ascending, the newest maxClaims
	over bool    // nothing is sent any more
	wake chan struct{}
	// leave ends it.
	leave context.CancelFunc
}

func newPeer(c *Cosigner, org string) *peer {
	return &peer{c: c, org: org, wake: make(chan struct{}, 1)}
}

func (p *peer) queue(cl claim) {
	p.giveBack(nil, cl)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *peer) take() []claim {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.todo
	p.todo = nil
	return out
}

// giveBack queues again what could not be sent, before what came since.
func (p *peer) giveBack(unsent []claim, since ...claim) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.todo = slices.Concat(unsent, p.todo, since)
	p.todo = p.todo[max(0, len(p.todo)-maxClaims):]
}

// end drops what waits: whoever does not cosign any more says nothing more.
func (p *peer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.todo, p.over = nil, true
}

// Pauses after a failure, and the longest silence: an empty request asks what the
// other knows.
const (
	firstPause = 50 * time.Millisecond
	longPause  = 2 * time.Second
	sendLimit  = 5 * time.Second
)

// run begins with an empty request, which asks what the other saw of this node.
func (p *peer) run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		claims := p.take()
		if err := p.send(ctx, claims); err != nil {
			p.giveBack(claims)
			p.rest(ctx, pause, nil)
			pause = min(2*pause, longPause)
			continue
		}
		pause = firstPause
		long := idle
		if !p.c.counts() {
			long = observe
		}
		p.rest(ctx, long, p.wake)
	}
}

func (p *peer) rest(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-wake:
	}
}

func (p *peer) send(ctx context.Context, claims []claim) error {
	req, err := spec.Encode(&request{Final: p.c.cfg.Final.Newest().Size, Claims: claims})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	resp, err := p.c.cfg.Send(ctx, p.org, req)
	switch code := spec.CodeOf(err); {
	case err == nil:
		p.c.greeted(p.org, resp)
	case code == spec.CodeCheckpoint || code == spec.CodeMalformed || code == spec.CodeDenied:
		p.c.cfg.Logger.Warn("a sequencer refused cosignatures", "organisation", p.org, "error", err)
		return nil // sending the same again would not help
	}
	return err
}
