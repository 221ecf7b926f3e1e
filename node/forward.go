// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/consensus"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// protocolSubmit forwards submissions to a member, who hands them to the leader.
const protocolSubmit = "/tocsin/submit/1"

// Bounds of one request of protocolSubmit, and of its answer.
const (
	maxForward  = spec.MaxRaftEntry
	maxAnswer   = maxTogether * 2 << 10
	maxTogether = 256 // submissions
	maxCalls    = 4   // requests under way to one member: more submissions travel together
	callTimeout = 5 * time.Second
)

// A verdict is what became of one submission: its outcome or, when it has none, the
// code of why.
type verdict struct {
	_       struct{} `cbor:",toarray"`
	Outcome spec.Outcome
	Code    spec.Code
	Message string
}

func verdictOf(out spec.Outcome, err error) verdict {
	if err == nil {
		return verdict{Outcome: out}
	}
	code := spec.CodeOf(err)
	if code == "" {
		code = spec.CodeUnknown // it may be in the log
	}
	return verdict{Code: code, Message: "the member that was asked: " + string(code)}
}

func (v *verdict) result() (spec.Outcome, error) {
	if v.Code != "" {
		return spec.Outcome{}, &spec.Error{Code: v.Code, Message: v.Message}
	}
	return v.Outcome, nil
}

// A forwarder hands submissions to other members. What is submitted while requests
// are under way travels together in the next.
type forwarder struct {
	call func(ctx context.Context, to p2p.PeerID, req []byte) ([]byte, error)
	mu   sync.Mutex
	to   map[p2p.PeerID]*lane
}

// A lane is what goes to one member.
type lane struct {
	waiting []*parcel
	calls   int // under way
}

// A parcel is a submission that somebody waits for.
type parcel struct {
	sub  spec.Submission
	got  verdict
	err  error
	done chan struct{}
}

// forward returns the outcome that a member tells.
func (f *forwarder) forward(ctx context.Context, to p2p.PeerID, sub spec.Submission) (spec.Outcome, error) {
	p := &parcel{sub: sub, done: make(chan struct{})}
	f.mu.Lock()
	if f.to == nil {
		f.to = map[p2p.PeerID]*lane{}
	}
	l := f.to[to]
	if l == nil {
		l = &lane{}
		f.to[to] = l
	}
	l.waiting = append(l.waiting, p)
	if l.calls < maxCalls {
		l.calls++
		go f.run(to, l)
	}
	f.mu.Unlock()
	select {
	case <-p.done:
	case <-ctx.Done():
		return spec.Outcome{}, ctx.Err()
	}
	if p.err != nil {
		return spec.Outcome{}, p.err
	}
	return p.got.result()
}

// run makes requests until nothing waits.
func (f *forwarder) run(to p2p.PeerID, l *lane) {
	for {
		f.mu.Lock()
		parcels := l.take()
		if len(parcels) == 0 {
			l.calls--
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		err := f.send(to, parcels)
		for _, p := range parcels {
			p.err = err
			close(p.done)
		}
	}
}

// take removes what fits into one request. Caller holds mu.
func (l *lane) take() []*parcel {
	size, n := 16, 0
	for _, p := range l.waiting[:min(len(l.waiting), maxTogether)] {
		if size += len(p.sub.Envelope) + len(p.sub.Opening) + 16; size > maxForward && n > 0 {
			break
		}
		n++
	}
	taken := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	return taken
}

func (f *forwarder) send(to p2p.PeerID, parcels []*parcel) error {
	subs := make([]spec.Submission, len(parcels))
	for i, p := range parcels {
		subs[i] = p.sub
	}
	req, err := spec.Encode(subs)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	resp, err := f.call(ctx, to, req)
	if err != nil {
		return err
	}
	var got []verdict
	if err := spec.Decode(resp, &got); err != nil || len(got) != len(parcels) {
		return spec.Errorf(spec.CodeUnknown, "the member's answer cannot be read")
	}
	for i, p := range parcels {
		p.got = got[i]
	}
	return nil
}

// parseForwarded reads a request of protocolSubmit.
func parseForwarded(req []byte) ([]spec.Submission, error) {
	var subs []spec.Submission
	if err := spec.Decode(req, &subs); err != nil {
		return nil, err
	}
	if len(subs) == 0 || len(subs) > maxTogether {
		return nil, spec.Errorf(spec.CodeTooLarge, "a request carries 1 to %d operations", maxTogether)
	}
	for i := range subs {
		if len(subs[i].Envelope) > spec.MaxLeaf || len(subs[i].Opening) > spec.MaxOpening {
			return nil, spec.Errorf(spec.CodeTooLarge, "an operation is at most %d bytes and its opening %d", spec.MaxLeaf, spec.MaxOpening)
		}
	}
	return subs, nil
}

// serveSubmit answers protocolSubmit. Whoever is enrolled may call: the signature
// inside decides what an operation may do. The caller gets an outcome for each, or
// NOT_LEADER when this member does not lead and the leader is not known.
func (n *Node) serveSubmit(ctx context.Context, from p2p.PeerID, _ string, req []byte) ([]byte, error) {
	subs, err := parseForwarded(req)
	if err != nil {
		return nil, err
	}
	defer n.commits.begin()()
	verdicts := make([]verdict, len(subs))
	var not *consensus.NotLeaderError
	results := n.leadFor(ctx, subs)
	if err := results[0].Err; errors.As(err, &not) && not.Leader != "" && !n.maySequence(from) {
		n.relay(ctx, p2p.PeerID(not.Leader), subs, verdicts)
	} else {
		for i, r := range results {
			verdicts[i] = verdictOf(r.Outcome, r.Err)
		}
	}
	return spec.Encode(verdicts)
}

// leadFor is lead for another member, who waits until it has applied them too.
func (n *Node) leadFor(ctx context.Context, subs []spec.Submission) []consensus.Result {
	defer n.consensus.Hurry()()
	return n.lead(ctx, subs)
}

// relay passes on to the leader what others than sequencers submitted here; those ask
// the leader themselves.
func (n *Node) relay(ctx context.Context, leader p2p.PeerID, subs []spec.Submission, verdicts []verdict) {
	var wg sync.WaitGroup
	for i := range subs {
		wg.Go(func() { verdicts[i] = verdictOf(n.forwards.forward(ctx, leader, subs[i])) })
	}
	wg.Wait()
}
