// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/consensus"
	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// submitTimeout is how long a node goes on trying to learn the outcome of an
// operation.
const submitTimeout = 15 * time.Second

// A signer makes this organisation's operations. It assigns their sequence
// numbers.
type signer struct {
	org    spec.Organisation
	keys   []ed25519.PrivateKey // op keys that are held, that of the card first
	origin string
	now    func() time.Time
	mu     sync.Mutex
	last   map[spec.KeyID]uint64 // sequence number used last, by key

	sending sync.Map // files of the outbox that are in use
}

// sign returns the submission of a body in the epoch of the state.
func (s *signer) sign(st governance.State, body spec.Body, opening *spec.Opening) (spec.Submission, error) {
	var sub spec.Submission
	op, err := spec.NewOp(body)
	if err != nil {
		return sub, err
	}
	clock, err := governance.Clock(st)
	if err != nil {
		return sub, err
	}
	key, err := s.inForce(st)
	if err != nil {
		return sub, err
	}
	id := spec.PublicKey(key.Public().(ed25519.PublicKey)).ID()
	op.Org, op.Key, op.Epoch, op.MadeMS = s.org.ID, id, clock.Epoch, uint64(s.now().UnixMilli())
	if op.Seq, err = s.next(st, id); err != nil {
		return sub, err
	}
	if sub.Envelope, err = spec.Sign(s.origin, op, key); err != nil {
		return sub, err
	}
	if opening != nil {
		sub.Opening, err = opening.Encode()
	}
	return sub, err
}

// inForce is the first held key with which the organisation may sign now; that of
// the card where none is, so that the refusal says so.
func (s *signer) inForce(st governance.State) (ed25519.PrivateKey, error) {
	who, err := governance.Organisation(st, s.org.ID)
	if err != nil {
		return nil, err
	}
	for _, key := range s.keys {
		if who != nil && slices.Contains(who.OpKeys(), spec.PublicKey(key.Public().(ed25519.PublicKey))) {
			return key, nil
		}
	}
	return s.keys[0], nil
}

// next takes the sequence number of a key after the highest one that was used.
func (s *signer) next(st governance.State, key spec.KeyID) (uint64, error) {
	var r spec.SeqRecord
	if err := readRecord(st, spec.SeqKey(s.org.ID, key), &r); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[spec.KeyID]uint64{}
	}
	s.last[key] = max(s.last[key], r.Highest) + 1
	return s.last[key], nil
}

// readRecord decodes the record under key, if there is one.
func readRecord(st interface {
	Record(key []byte) ([]byte, error)
}, key []byte, out any) error {
	b, err := st.Record(key)
	if err != nil || b == nil {
		return err
	}
	return spec.DecodeStored(b, out)
}

// submit signs a body for this organisation and sees it through: it returns once
// the operation stands in the log and its effects are visible on this node, or
// with the refusal's code. An operation whose epoch has passed is signed anew.
func (n *Node) submit(ctx context.Context, body spec.Body, opening *spec.Opening) (spec.Outcome, error) {
	var forget []func()
	defer func() {
		for _, f := range forget {
			f()
		}
	}()
	return n.seeThrough(ctx, func() (spec.Submission, error) {
		sub, err := n.signer.sign(n.store, body, opening)
		if err == nil && opening != nil {
			forget = append(forget, n.made.keep(sub, opening))
		}
		return sub, err
	})
}

// maxRenumbered is how often an operation is signed anew because its sequence number
// was used: by operations that this node signed before it was started again, and
// whose effects it has not seen yet.
const maxRenumbered = 64

// seeThrough submits what make signs; it is asked again only when the operation
// can no longer be applied because its epoch has passed or its number is another's.
func (n *Node) seeThrough(ctx context.Context, make func() (spec.Submission, error)) (spec.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	if err := n.awaitTime(ctx); err != nil {
		return spec.Outcome{}, err
	}
	defer n.commits.begin()()
	for tries := 0; ; tries++ {
		sub, err := make()
		if err != nil {
			return spec.Outcome{}, err
		}
		size := n.store.Size()
		out, err := n.carry(ctx, sub)
		if err == nil && out.Code == spec.CodeReplayed && tries < maxRenumbered {
			continue
		}
		if err == nil && out.Code == spec.CodeEpoch && (n.outlived(sub) || n.awaitGrowth(ctx, size)) {
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

// outlived reports whether this node knows that the epoch of a submission has passed.
func (n *Node) outlived(sub spec.Submission) bool {
	op, err := spec.ParseEnvelope(sub.Envelope)
	if err != nil {
		return false
	}
	clock, err := governance.Clock(n.store)
	return err == nil && op.Op.Epoch < clock.Epoch
}

// awaitTime waits until the consortium has a time: before its first checkpoint is
// cosigned no operation is taken.
func (n *Node) awaitTime(ctx context.Context) error {
	for {
		size := n.store.Size()
		clock, err := governance.Clock(n.store)
		if err != nil || clock.TimeMS > 0 {
			return err
		}
		if !n.awaitGrowth(ctx, size) {
			return spec.Errorf(spec.CodeNoTime, "the consortium has no time yet: its first checkpoint is not cosigned")
		}
	}
}

// awaitGrowth waits for the log to grow past size, where a new epoch begins, or
// time.
func (n *Node) awaitGrowth(ctx context.Context, size uint64) bool {
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
			return out, fmt.Errorf("the operation was not taken in time: %w", err)
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
		ups := n.sequencerPeers()
		if len(ups) == 0 {
			return spec.Outcome{}, spec.Errorf(spec.CodeUnavailable, "no member of the consortium is known")
		}
		return n.forwards.forward(ctx, ups[(attempt+n.turn)%len(ups)], sub)
	}
	r := n.lead(ctx, []spec.Submission{sub})[0]
	var not *consensus.NotLeaderError
	if errors.As(r.Err, &not) && not.Leader != "" {
		return n.forwards.forward(ctx, p2p.PeerID(not.Leader), sub)
	}
	return r.Outcome, r.Err
}

// lead checks submissions against the state as it is and proposes them together.
// What the rules refuse now is not proposed; it is refused once a barrier in the
// raft log shows that no other leader knows better, and that this one has all that
// others may have seen.
func (n *Node) lead(ctx context.Context, subs []spec.Submission) []consensus.Result {
	results := make([]consensus.Result, len(subs))
	term, err := n.leading(ctx)
	parsed := make([]governance.Parsed, len(subs))
	open := make([]bool, len(subs)) // to be proposed
	if err == nil {
		jobs := make([]func() error, len(subs))
		for i := range subs {
			jobs[i] = func() (err error) {
				parsed[i] = n.made.parse(&subs[i])
				results[i].Outcome, open[i], err = n.judge(&parsed[i])
				return err
			}
		}
		err = inParallel(jobs)
	}
	if err == nil && slices.ContainsFunc(results, refusedOne) {
		err = n.judgeAgain(ctx, term, parsed, results, open)
	}
	if err != nil {
		for i := range results {
			results[i] = consensus.Result{Err: err}
		}
		return results
	}
	var proposed []spec.Submission
	var at []int
	for i := range subs {
		if open[i] {
			defer n.replica.remember(subs[i], parsed[i])()
			proposed, at = append(proposed, subs[i]), append(at, i)
		}
	}
	for j, r := range n.consensus.SubmitBatch(ctx, proposed) {
		if r.Outcome.Code == spec.CodeBusy { // no room in its entry: the same bytes again
			r = consensus.Result{Err: r.Outcome.Err()}
		}
		results[at[j]] = r
	}
	return results
}

func refusedOne(r consensus.Result) bool { return r.Outcome.Code != "" }

// judgeAgain judges what was refused once more against a state that is behind no
// other's.
func (n *Node) judgeAgain(ctx context.Context, term uint64, parsed []governance.Parsed, results []consensus.Result, open []bool) error {
	if err := n.consensus.StillLeads(ctx, term); err != nil {
		return err
	}
	for i, r := range results {
		if !refusedOne(r) {
			continue
		}
		var err error
		if results[i].Outcome, open[i], err = n.judge(&parsed[i]); err != nil {
			return err
		}
	}
	return nil
}

// leading returns the term in which this node judges and proposes, or why it cannot.
func (n *Node) leading(ctx context.Context) (term uint64, err error) {
	if !n.consensus.IsLeader() {
		id, _ := n.consensus.Leader()
		return 0, &consensus.NotLeaderError{Leader: id}
	}
	return n.consensus.CaughtUp(ctx)
}

// judge returns the outcome of an operation that stands in the log or that the
// rules refuse now; propose is true for any other.
func (n *Node) judge(p *governance.Parsed) (out spec.Outcome, propose bool, err error) {
	if p.Err == nil {
		out.ID = p.Op.ID
		index, found, err := n.store.Find(out.ID)
		if found {
			out.Index = index
		}
		if err != nil || found {
			return out, false, err
		}
	}
	err = governance.Check(n.store, p)
	if code := spec.CodeOf(err); code != "" {
		out.Code, out.Message = code, err.Error()
		return out, false, nil
	}
	return out, err == nil, err
}

// made are the openings of operations that this node just signed, by id of the
// operation: it need not decode and hash again what it made.
type made struct{ openings sync.Map } // spec.Hash → *madeOpening

type madeOpening struct {
	encoded []byte
	opening *spec.Opening
}

// keep remembers an opening, which must not change any more, until forget is called.
func (m *made) keep(sub spec.Submission, o *spec.Opening) (forget func()) {
	o.Root() // computed once, before others read it
	id := spec.LeafHash(sub.Envelope)
	m.openings.Store(id, &madeOpening{sub.Opening, o})
	return func() { m.openings.Delete(id) }
}

// parse is governance.Parse.
func (m *made) parse(sub *spec.Submission) governance.Parsed {
	if o, ok := m.openings.Load(spec.LeafHash(sub.Envelope)); ok && bytes.Equal(o.(*madeOpening).encoded, sub.Opening) {
		op, err := spec.ParseEnvelope(sub.Envelope)
		return governance.Parsed{Op: op, Opening: o.(*madeOpening).opening, Err: err}
	}
	return governance.Parse(sub)
}
