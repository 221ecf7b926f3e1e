// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// starvation is how long a subscriber may leave us without credit while there is
// more for it.
const starvation = 10 * time.Second

// maxCredit bounds what a subscriber may grant in all, so that sums stay small.
const maxCredit = 1 << 40

// session serves one subscriber.
type session struct {
	*p2p.Stream
	sv        *Server
	tidings   *tidings
	addresses []string
	pushed    bool          // under sv.mu
	poked     chan struct{} // one token: the subscriber said something
	alarm     *time.Timer

	cursor    uint64 // the next leaf to push
	announced uint64 // final size that the subscriber was told
	headed    time.Time
	unproved  bool      // parts were sent since the last Head
	starved   time.Time // since when there is no credit, zero: there is

	mu      sync.Mutex // guards what the subscriber says
	credit  int64
	eager   bool
	grafted bool // anew, at graft
	graft   uint64
	gone    error // the subscriber's side ended
}

// subscribe serves one stream of Protocol.
func (sv *Server) subscribe(ctx context.Context, stream *p2p.Stream) error {
	s := &session{Stream: stream, sv: sv, poked: make(chan struct{}, 1), alarm: time.NewTimer(Keepalive)}
	defer s.alarm.Stop()
	m, err := s.first()
	if err != nil {
		return err
	}
	s.addresses = m.Addresses
	if !sv.enter(s) {
		if err := s.refer(); err != nil {
			return err
		}
		return sv.end(stream, p2p.Busy(busyRetry))
	}
	defer sv.leave(s)
	s.cursor = m.Size
	if m.Credit > 0 {
		s.take(&graft{Size: m.Size, Credit: m.Credit})
	}
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		s.listen()
	}()
	err = s.run(ctx)
	s.Reset() // ends listen
	<-listening
	return err
}

// first reads the subscription.
func (s *session) first() (*sub, error) {
	frame, err := s.ReadFrame(maxControl)
	if err != nil {
		return nil, err
	}
	m, err := decode(frame)
	if err != nil {
		return nil, s.sv.end(s.Stream, err)
	}
	if m, ok := m.(*sub); ok {
		return m, nil
	}
	return nil, s.sv.end(s.Stream, spec.Errorf(spec.CodeMalformed, "a subscription comes first"))
}

// listen takes what the subscriber says until its side ends.
func (s *session) listen() {
	for {
		frame, err := s.ReadFrame(maxControl)
		var m any
		if err == nil {
			m, err = decode(frame)
		}
		if err == nil {
			err = s.take(m)
		}
		if err != nil {
			s.mu.Lock()
			s.gone = err
			s.mu.Unlock()
			s.poke()
			return
		}
	}
}

func (s *session) take(m any) error {
	s.mu.Lock()
	switch m := m.(type) {
	case *graft:
		s.eager, s.grafted, s.graft = true, true, m.Size
		s.credit = int64(min(m.Credit, maxCredit))
	case *prune:
		s.eager = false
	case *ack:
		s.credit = min(s.credit+int64(min(m.Credit, maxCredit)), maxCredit)
	default:
		s.mu.Unlock()
		return spec.Errorf(spec.CodeMalformed, "a message that only servers send")
	}
	s.mu.Unlock()
	s.poke()
	return nil
}

// poke wakes run.
func (s *session) poke() {
	select {
	case s.poked <- struct{}{}:
	default:
	}
}

// said is what the subscriber wants now.
type said struct {
	eager   bool
	grafted bool
	graft   uint64
	credit  int64
	gone    error
}

func (s *session) said() said {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := said{s.eager, s.grafted, s.graft, s.credit, s.gone}
	s.grafted = false
	return out
}

func (s *session) run(ctx context.Context) error {
	err := s.head()
	for err == nil {
		err = s.step(ctx)
	}
	return err
}

// step does one thing: it changes the mode, sends what there is, or waits.
func (s *session) step(ctx context.Context) error {
	now := s.said()
	if now.gone != nil {
		return now.gone
	}
	if now.grafted {
		return s.begin(now.graft)
	}
	if !now.eager {
		s.sv.push(s, false)
		if s.tidings.due.now() > s.announced {
			return s.announce()
		}
		return s.rest(ctx, s.tidings.due.above(s.announced))
	}
	size, _ := s.sv.src.Final()
	switch {
	case size <= s.cursor:
		return s.rest(ctx, s.tidings.final.above(size))
	case now.credit > 0:
		return s.pushSome(ctx)
	}
	return s.starve(ctx)
}

// rest waits for more, or for what the subscriber says.
func (s *session) rest(ctx context.Context, more <-chan struct{}) error {
	s.starved = time.Time{}
	return s.idle(ctx, Keepalive, more)
}

// begin pushes from a size on, if there is room for one more.
func (s *session) begin(size uint64) error {
	if !s.sv.push(s, true) {
		s.lazily()
		return s.refer()
	}
	s.cursor, s.unproved, s.starved = size, false, time.Time{}
	return s.head()
}

func (s *session) lazily() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eager = false
}

// pushSome sends what the source has, up to readBatch and the credit, and proves it.
func (s *session) pushSome(ctx context.Context) error {
	groups, err := s.sv.groups(ctx, s.Role(), s.cursor, readBatch)
	if err != nil {
		return s.sv.end(s.Stream, err)
	}
	for i := range groups {
		if err := sendGroup(s.Stream, &groups[i], nil); err != nil {
			return err
		}
		s.cursor, s.unproved = groups[i].Next(), true
		if !s.spend(groups[i].cost()) {
			break
		}
	}
	return s.head()
}

// spend reports whether credit is left.
func (s *session) spend(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credit -= int64(n)
	return s.credit > 0
}

// starve waits for credit, and demotes a subscriber that gives none.
func (s *session) starve(ctx context.Context) error {
	now := s.sv.opts.Now()
	if s.starved.IsZero() {
		s.starved = now
	}
	left := starvation - now.Sub(s.starved)
	if left <= 0 {
		s.lazily()
		s.starved = time.Time{}
		return s.send(kindPrune, &prune{})
	}
	return s.idle(ctx, left, nil)
}

func (s *session) announce() error {
	size, frame, err := s.tidings.ihave()
	if err != nil {
		return s.sv.end(s.Stream, err)
	}
	s.announced = size
	return s.write(frame)
}

// head shows the newest final checkpoint and proves what was pushed.
func (s *session) head() error {
	size, note := s.sv.src.Final()
	now := s.sv.opts.Now()
	h := &head{Size: size, TimeMS: uint64(max(0, now.UnixMilli())), Next: s.cursor, Note: note}
	if s.unproved && s.cursor < size {
		var err error
		if h.Proof, err = s.sv.src.Prove(s.cursor, size); err != nil {
			return s.sv.end(s.Stream, err)
		}
	}
	s.headed, s.unproved, s.announced = now, false, max(s.announced, size)
	return s.send(kindHead, h)
}

func (s *session) refer() error {
	return s.send(kindRefer, s.sv.others(s.Peer()))
}

func (s *session) send(kind byte, m any) error {
	b, err := encode(kind, m)
	if err != nil {
		return s.sv.end(s.Stream, err)
	}
	return s.write(b)
}

// write sends one frame, with what was buffered before it.
func (s *session) write(frame []byte) error {
	if err := s.WriteFrame(frame); err != nil {
		return err
	}
	return s.Flush()
}

// idle waits for more or for what the subscriber says, for d at most; a Head is sent
// when one is due.
func (s *session) idle(ctx context.Context, d time.Duration, more <-chan struct{}) error {
	s.alarm.Reset(max(0, min(d, Keepalive-s.sv.opts.Now().Sub(s.headed))))
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.tidings.failed.Done():
		return s.sv.end(s.Stream, context.Cause(s.tidings.failed))
	case <-more:
	case <-s.poked:
	case <-s.alarm.C:
	}
	if s.sv.opts.Now().Sub(s.headed) >= Keepalive {
		return s.head()
	}
	return nil
}
