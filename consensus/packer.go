// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tocsin-db/tocsin/spec"
)

const (
	packBytes    = 128 << 10 // an entry is closed at this size; a larger submission goes alone
	packInFlight = 2         // entries proposed and not committed while more could gather in the next
	packFull     = 16        // and when the next is full anyway: far followers are a round trip away
	pollEvery    = time.Second
)

// A packer packs what waits on the leader into raft entries. While two entries
// are under way the next submissions gather, so entries grow with the load.
type packer struct {
	n     *Node
	queue *queue
	slots chan struct{} // entries under way
	freed chan struct{} // holds a token when one has ended
	quit  chan struct{}
	ended chan struct{}  // run has returned
	under sync.WaitGroup // entries under way

	ask     atomic.Bool // whether a tick is due
	ticking atomic.Bool // one is under way
}

func newPacker(n *Node) *packer {
	return &packer{
		n: n, queue: newQueue(n.cfg.MaxQueued, n.cfg.MaxQueueBytes),
		slots: make(chan struct{}, packFull), freed: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{}),
	}
}

// run proposes until finish.
func (p *packer) run() {
	defer close(p.ended)
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		select {
		case <-p.quit:
			return
		case <-p.n.brk.down:
			settleAll(p.queue.drain(true), Result{Err: ErrStopped})
			return
		case <-p.queue.wake:
		case <-poll.C:
			p.ask.Store(true)
		}
		if err := p.n.leading(); err != nil {
			settleAll(p.queue.drain(false), Result{Err: err})
			continue
		}
		if p.queue.len() > 0 || p.ask.Load() {
			p.next()
		}
	}
}

// look has the packer ask soon whether a tick is due.
func (p *packer) look() {
	p.ask.Store(true)
	p.queue.signal()
}

// next proposes one entry as soon as there is a slot for it.
func (p *packer) next() {
	if !p.slot() {
		return
	}
	tickets := p.queue.take(packBytes, spec.MaxSubmissions)
	tick, due := p.tick()
	data, tickets := pack(tick, tickets)
	if data == nil || !due && len(tickets) == 0 {
		p.free()
		return
	}
	if due {
		p.ticking.Store(true)
	}
	future := p.n.raft.Apply(data, 0)
	p.under.Go(func() {
		p.settle(future, tickets)
		if due {
			p.ticked()
		}
		p.free()
	})
}

// slot takes a place among the entries under way; false means that the node ends.
func (p *packer) slot() bool {
	for len(p.slots) >= packInFlight && (len(p.slots) == packFull || !p.queue.full(packBytes, spec.MaxSubmissions)) {
		select {
		case <-p.freed:
		case <-p.queue.wake:
		case <-p.quit:
			return false
		case <-p.n.brk.down:
			return false
		}
	}
	p.slots <- struct{}{} // nobody else takes one
	return true
}

func (p *packer) free() {
	<-p.slots
	select {
	case p.freed <- struct{}{}:
	default:
	}
}

// pack encodes an entry. A submission that cannot be encoded gets its error
// and is left out.
func pack(tick []spec.Timed, tickets []*ticket) ([]byte, []*ticket) {
	data, err := encode(tick, tickets)
	if err == nil {
		return data, tickets
	}
	var good []*ticket
	for _, t := range tickets {
		if _, err := encode(nil, []*ticket{t}); err != nil {
			t.batch.settle(t.slot, Result{Err: err})
			continue
		}
		good = append(good, t)
	}
	if data, err = encode(tick, good); err != nil {
		settleAll(good, Result{Err: err})
		return nil, nil
	}
	return data, good
}

func encode(tick []spec.Timed, tickets []*ticket) ([]byte, error) {
	entry := spec.RaftEntry{Tick: tick, Submissions: make([]spec.Submission, len(tickets))}
	for i, t := range tickets {
		entry.Submissions[i] = t.sub
	}
	return entry.Marshal()
}

// settle waits for an entry and gives each of its submissions its outcome.
func (p *packer) settle(future raft.ApplyFuture, tickets []*ticket) {
	err := p.n.outcome(future)
	switch {
	case err == nil:
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout):
		settleAll(tickets, Result{Err: &NotLeaderError{}}) // never reached the log
		return
	default:
		settleAll(tickets, Result{Err: unknown(err)})
		return
	}
	switch outcomes := future.Response().(type) {
	case []spec.Outcome:
		settleEach(tickets, outcomes)
	case error:
		settleAll(tickets, Result{Err: unknown(outcomes)})
	default:
		settleAll(tickets, Result{Err: unknown(errors.New("the entry had been applied before"))})
	}
}

func settleEach(tickets []*ticket, outcomes []spec.Outcome) {
	if len(outcomes) != len(tickets) {
		settleAll(tickets, Result{Err: unknown(fmt.Errorf("%d outcomes for %d submissions", len(outcomes), len(tickets)))})
		return
	}
	for i, t := range tickets {
		t.batch.settle(t.slot, Result{Outcome: outcomes[i]})
	}
}

// tick returns what the next entry begins with, and whether it is due even if it
// holds nothing else.
func (p *packer) tick() (tick []spec.Timed, due bool) {
	if p.ticking.Load() || !p.ask.Swap(false) {
		return nil, false
	}
	t, due := p.n.cfg.Tick()
	if due && t != nil {
		tick = []spec.Timed{*t}
	}
	return tick, due
}

// ticked ends a tick that was under way. Who woke the packer meanwhile is heard now,
// not at the next poll.
func (p *packer) ticked() {
	p.ticking.Store(false)
	if p.ask.Load() {
		p.queue.signal()
	}
}

// finish refuses what waits and what comes, and waits for what is under way.
func (p *packer) finish(ctx context.Context) {
	settleAll(p.queue.drain(true), Result{Err: ErrStopped})
	close(p.quit)
	settled := make(chan struct{})
	go func() {
		<-p.ended
		p.under.Wait()
		close(settled)
	}()
	select {
	case <-settled:
	case <-ctx.Done():
	case <-p.n.brk.down:
	}
}
