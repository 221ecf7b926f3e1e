// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/consensus"
	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// protocolSubmit forwards a submission to a member, who hands it to the leader.
const protocolSubmit = "/tocsin/submit/1"

// submitTimeout is how long a node goes on trying to learn the outcome of an
// operation.
const submitTimeout = 15 * time.Second

// A signer makes this organisation's operations. It assigns their sequence
// numbers.
type signer struct {
	org    spec.Organisation
	key    ed25519.PrivateKey
	origin string
	now    func() time.Time
	mu     sync.Mutex
	last   uint64

	sending sync.Map // files of the outbox that are in use
}

// sign returns the submission of a body in the epoch of the state.
func (s *signer) sign(st governance.State, body spec.Body, opening *spec.Opening) (spec.Submission, error) {
	var sub spec.Submission
	op, err := spec.NewOp(body)
	if err != nil {
		return sub, err
	}
	var clock spec.Clock
	if err := readRecord(st, spec.ClockKey, &clock); err != nil {
		return sub, err
	}
	op.Org, op.Key, op.Epoch, op.MadeMS = s.org.ID, s.org.OpKey.ID(), clock.Epoch, uint64(s.now().UnixMilli())
	if op.Seq, err = s.next(st); err != nil {
		return sub, err
	}
	if sub.Envelope, err = spec.Sign(s.origin, op, s.key); err != nil {
		return sub, err
	}
	if opening != nil {
		sub.Opening, err = opening.Encode()
	}
	return sub, err
}

// next takes the sequence number after the highest one that was used.
func (s *signer) next(st governance.State) (uint64, error) {
	var r spec.SeqRecord
	if err := readRecord(st, spec.SeqKey(s.org.ID, s.org.OpKey.ID()), &r); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last, r.Highest) + 1
	return s.last, nil
}

// readRecord decodes the record under key, if there is one.
func readRecord(st governance.State, key []byte, out any) error {
	b, err := st.Record(key)
	if err != nil || b == nil {
		return err
	}
	return spec.Decode(b, out)
}

// submit signs a body for this organisation and sees it through: it returns once
// the operation stands in the log and its effects are visible on this node, or
// with the refusal's code. An operation whose epoch has passed is signed anew.
func (n *Node) submit(ctx context.Context, body spec.Body, opening *spec.Opening) (spec.Outcome, error) {
	return n.seeThrough(ctx, func() (spec.Submission, error) { return n.signer.sign(n.store, body, opening) })
}

// seeThrough submits what make signs; it is asked again only when the operation
// can no longer be applied because its epoch has passed.
func (n *Node) seeThrough(ctx context.Context, make func() (spec.Submission, error)) (spec.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	for {
		sub, err := make()
		if err != nil {
			return spec.Outcome{}, err
		}
		size := n.store.Size()
		out, err := n.carry(ctx, sub)
		if err == nil && out.Code == spec.CodeEpoch && n.awaitEpoch(ctx, size) {
			continue
		}
		if err == nil {
			err = out.Err()
		}
		if err != nil {
			return out, err
		}
		if err := n.store.Wait(ctx, out.Index); err != nil {
			return out, spec.Errorf(spec.CodeUnavailable, "the operation stands in the log, but has not reached this node yet: %w", err)
		}
		return out, nil
	}
}

// awaitEpoch waits for the log to grow past size, where the new epoch begins.
func (n *Node) awaitEpoch(ctx context.Context, size uint64) bool {
	return n.store.Wait(ctx, size) == nil
}

// carry brings a submission to the leader and returns its outcome. The bytes are
// the same at every attempt, so that repeating it is safe.
func (n *Node) carry(ctx context.Context, sub spec.Submission) (spec.Outcome, error) {
	for attempt := 0; ; attempt++ {
		out, err := n.attempt(ctx, sub, attempt)
		if err == nil || !again(err) {
			return out, err
		}
		select {
		case <-ctx.Done():
			return out, fmt.Errorf("no leader took the operation in time: %w", err)
		case <-n.after(50 * time.Millisecond):
		}
	}
}

// again reports whether another attempt can help.
func again(err error) bool {
	switch spec.CodeOf(err) {
	case spec.CodeNotLeader, spec.CodeBusy, spec.CodeUnknown, spec.CodeUnavailable:
		return true
	case "":
		return errors.Is(err, p2p.ErrNotSent) || errors.Is(err, p2p.ErrUnknownOutcome)
	}
	return false
}

// attempt hands the submission to this node's own consensus when it leads, else
// to the leader, else to members in turn.
func (n *Node) attempt(ctx context.Context, sub spec.Submission, attempt int) (spec.Outcome, error) {
	if n.consensus == nil {
		ups := n.directory.members()
		if len(ups) == 0 {
			return spec.Outcome{}, spec.Errorf(spec.CodeUnavailable, "no member of the consortium is known")
		}
		return n.forward(ctx, ups[(attempt+n.turn)%len(ups)], sub)
	}
	out, err := n.lead(ctx, sub)
	var not *consensus.NotLeaderError
	if errors.As(err, &not) && not.Leader != "" {
		return n.forward(ctx, p2p.PeerID(not.Leader), sub)
	}
	return out, err
}

// lead checks a submission against the state as it is and proposes it. What the
// rules refuse now is refused at once, without an entry in the raft log.
func (n *Node) lead(ctx context.Context, sub spec.Submission) (spec.Outcome, error) {
	if !n.consensus.IsLeader() {
		id, _ := n.consensus.Leader()
		return spec.Outcome{}, &consensus.NotLeaderError{Leader: id}
	}
	out := spec.Outcome{}
	if err := n.consensus.CaughtUp(ctx); err != nil {
		return out, err
	}
	p := governance.Parse(&sub)
	if p.Err == nil {
		out.ID = p.Op.ID
		index, found, err := n.store.Find(out.ID)
		if err != nil {
			return out, err
		}
		if found {
			out.Index = index
			return out, nil
		}
	}
	if err := governance.Check(n.store, &p); err != nil {
		if spec.CodeOf(err) == "" {
			return out, err
		}
		out.Code, out.Message = spec.CodeOf(err), err.Error()
		return out, nil
	}
	defer n.replica.remember(sub, p)()
	return n.consensus.Submit(ctx, sub)
}

// forward sends a submission to a member and returns the outcome that it tells.
func (n *Node) forward(ctx context.Context, to p2p.PeerID, sub spec.Submission) (spec.Outcome, error) {
	var out spec.Outcome
	req, err := spec.Encode(&sub)
	if err != nil {
		return out, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	resp, err := n.host.Call(ctx, to, protocolSubmit, req, 4<<10)
	if err != nil {
		return out, err
	}
	return out, spec.Decode(resp, &out)
}

// serveSubmit answers protocolSubmit. Whoever is enrolled may call: the signature
// inside decides what the operation may do. The caller gets the outcome, or
// NOT_LEADER when this member does not lead and the leader is not known.
func (n *Node) serveSubmit(ctx context.Context, from p2p.PeerID, role string, req []byte) ([]byte, error) {
	var sub spec.Submission
	if err := spec.Decode(req, &sub); err != nil {
		return nil, err
	}
	if len(sub.Envelope) > spec.MaxLeaf || len(sub.Opening) > spec.MaxOpening {
		return nil, spec.Errorf(spec.CodeTooLarge, "an operation is at most %d bytes and its opening %d", spec.MaxLeaf, spec.MaxOpening)
	}
	out, err := n.lead(ctx, sub)
	var not *consensus.NotLeaderError
	if errors.As(err, &not) && not.Leader != "" && role != spec.RoleMember {
		out, err = n.forward(ctx, p2p.PeerID(not.Leader), sub)
	}
	if err != nil {
		return nil, err
	}
	return spec.Encode(&out)
}
