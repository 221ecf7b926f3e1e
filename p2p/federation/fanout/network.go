// SPDX-License-Identifier: Apache-2.0

package fanout

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/p2p"
)

// A network carries streams between nodes of one process. Every byte arrives one
// latency after it was written, in order; throughput is not limited.
type network struct {
	latency time.Duration
	mu      sync.RWMutex
	serves  map[p2p.PeerID]map[string]p2p.StreamHandler
}

func newNetwork(latency time.Duration) *network {
	return &network{latency: latency, serves: map[p2p.PeerID]map[string]p2p.StreamHandler{}}
}

// A place is one node's end of the network: a federation.Listener and Dialer.
type place struct {
	*network
	id p2p.PeerID
}

func (p place) HandleStream(proto string, _ p2p.Policy, fn p2p.StreamHandler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.serves[p.id] == nil {
		p.serves[p.id] = map[string]p2p.StreamHandler{}
	}
	p.serves[p.id][proto] = fn
}

func (p place) OpenStream(ctx context.Context, to p2p.PeerID, proto string) (*p2p.Stream, error) {
	p.mu.RLock()
	fn := p.serves[to][proto]
	p.mu.RUnlock()
	if fn == nil {
		return nil, p2p.ErrNotSent
	}
	there, back := newPipe(p.latency), newPipe(p.latency)
	near, far := &conn{in: back, out: there}, &conn{in: there, out: back}
	context.AfterFunc(ctx, func() { _ = near.Reset() })
	go func() {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		s := p2p.NewStream(far, p.id, "reader")
		if fn(ctx, s) != nil {
			s.Reset()
		}
	}()
	return p2p.NewStream(near, to, ""), nil
}

// A pipe is one direction of a stream.
type pipe struct {
	latency time.Duration
	mu      sync.Mutex
	parcels []parcel
	bytes   int
	closed  bool
	changed chan struct{} // one token for the reader
	room    chan struct{} // one token for the writer
	alarm   *time.Timer   // of the reader; nil: not needed yet
}

// A parcel is bytes on their way.
type parcel struct {
	due  time.Time
	data []byte
}

// window bounds the bytes on their way in one direction.
const window = 1 << 20

func newPipe(latency time.Duration) *pipe {
	return &pipe{latency: latency, changed: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (p *pipe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	token(p.changed)
	token(p.room)
}

func (p *pipe) write(b []byte, deadline time.Time) (int, error) {
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return 0, io.ErrClosedPipe
		}
		if p.bytes < window {
			p.parcels = append(p.parcels, parcel{time.Now().Add(p.latency), append([]byte(nil), b...)})
			p.bytes += len(b)
			token(p.changed)
			p.mu.Unlock()
			return len(b), nil
		}
		p.mu.Unlock()
		if t := (*time.Timer)(nil); !await(p.room, deadline, &t) {
			return 0, os.ErrDeadlineExceeded
		}
	}
}

func (p *pipe) read(b []byte, deadline time.Time) (int, error) {
	for {
		p.mu.Lock()
		until := deadline
		if len(p.parcels) > 0 {
			head := &p.parcels[0]
			if !time.Now().Before(head.due) {
				n := copy(b, head.data)
				if head.data = head.data[n:]; len(head.data) == 0 {
					p.parcels = p.parcels[1:]
				}
				p.bytes -= n
				token(p.room)
				p.mu.Unlock()
				return n, nil
			}
			if until.IsZero() || head.due.Before(until) {
				until = head.due
			}
		} else if p.closed {
			p.mu.Unlock()
			return 0, io.EOF
		}
		p.mu.Unlock()
		if !await(p.changed, until, &p.alarm) && until == deadline {
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// await reports whether a token came before the deadline, zero for none. It keeps its
// timer for the next time.
func await(c chan struct{}, deadline time.Time, alarm **time.Timer) bool {
	if deadline.IsZero() {
		<-c
		return true
	}
	if *alarm == nil {
		*alarm = time.NewTimer(time.Until(deadline))
	} else {
		(*alarm).Reset(time.Until(deadline))
	}
	defer (*alarm).Stop()
	select {
	case <-c:
		return true
	case <-(*alarm).C:
		return false
	}
}

// conn is one end of a stream, a p2p.Conn.
type conn struct {
	in, out     *pipe
	mu          sync.Mutex
	read, write time.Time
}

func (c *conn) deadlines() (read, write time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read, c.write
}

func (c *conn) Read(b []byte) (int, error) {
	d, _ := c.deadlines()
	return c.in.read(b, d)
}

func (c *conn) Write(b []byte) (int, error) {
	_, d := c.deadlines()
	return c.out.write(b, d)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = t
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write = t
	return nil
}

func (c *conn) CloseWrite() error { c.out.close(); return nil }

func (c *conn) Close() error { return c.Reset() }

func (c *conn) Reset() error {
	c.in.close()
	c.out.close()
	return nil
}
