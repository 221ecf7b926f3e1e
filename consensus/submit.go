// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"

	"github.com/tocsin-db/tocsin/spec"
)

// Bounds of what one entry takes up beyond the bytes of its submissions: the
// outer array and the tick, and the heads of each submission.
const (
	entryOverhead      = 16 + tickOverhead
	tickOverhead       = 64 + spec.MaxSequencers*128
	submissionOverhead = 11
	maxEntry           = spec.MaxRaftEntry - entryOverhead
)

// Submit proposes one submission on the leader and waits until it is committed
// and its effects are visible here. The Outcome may be a refusal by the rules;
// see Outcome.Err.
//
// Errors that mean "not proposed": *NotLeaderError, ErrStopped, BUSY when too
// many are waiting, TOO_LARGE, and the error of ctx. ErrUnknownOutcome means
// that it was proposed and may be committed or not.
func (n *Node) Submit(ctx context.Context, s spec.Submission) (spec.Outcome, error) {
	r := n.SubmitBatch(ctx, []spec.Submission{s})[0]
	return r.Outcome, r.Err
}

// SubmitBatch is Submit for many: they are proposed in the order given, with
// nothing of others in between, and share entries where they fit. There is one
// Result for each. A batch is queued whole or, when the queue has no room for
// it, refused whole with BUSY.
func (n *Node) SubmitBatch(ctx context.Context, subs []spec.Submission) []Result {
	if len(subs) == 0 {
		return nil
	}
	b := newBatch(len(subs))
	tickets := n.tickets(b, subs)
	err := ctx.Err()
	if err == nil {
		err = n.leading()
	}
	if err == nil {
		err = n.packer.queue.push(tickets)
	}
	if err != nil {
		settleAll(tickets, Result{Err: err})
	}
	n.await(ctx, b, tickets)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.results
}

// tickets makes a ticket for each submission that fits into an entry.
func (n *Node) tickets(b *batch, subs []spec.Submission) []*ticket {
	tickets := make([]*ticket, 0, len(subs))
	for i, s := range subs {
		size := submissionOverhead + len(s.Envelope) + len(s.Opening)
		if size > maxEntry {
			b.settle(i, Result{Err: spec.Errorf(spec.CodeTooLarge, "a submission of %d bytes does not fit into a raft entry of %d", size, spec.MaxRaftEntry)})
			continue
		}
		tickets = append(tickets, &ticket{sub: s, size: size, batch: b, slot: i})
	}
	return tickets
}

// await returns when every submission has a result.
func (n *Node) await(ctx context.Context, b *batch, tickets []*ticket) {
	select {
	case <-b.done:
		return
	case <-ctx.Done():
		settleAll(n.packer.queue.drop(tickets), Result{Err: ctx.Err()})
		settleAll(tickets, Result{Err: unknown(ctx.Err())})
	case <-n.brk.down:
		settleAll(n.packer.queue.drop(tickets), Result{Err: ErrStopped})
		settleAll(tickets, Result{Err: unknown(n.brk.err())})
	case <-n.ended:
		// Raft does not answer what it had queued and never begun.
		settleAll(n.packer.queue.drop(tickets), Result{Err: ErrStopped})
		settleAll(tickets, Result{Err: unknown(ErrStopped)})
	}
}

func settleAll(ts []*ticket, r Result) {
	for _, t := range ts {
		t.batch.settle(t.slot, r)
	}
}
