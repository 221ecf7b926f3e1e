// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"net"
	"sync"
	"time"
)

// A delayer passes TCP connections on to a node, every byte later by half a round
// trip. Throughput is not limited.
type delayer struct {
	listener net.Listener
	target   string
	oneWay   time.Duration
	mu       sync.Mutex
	open     map[net.Conn]struct{}
}

func newDelayer(target string, rtt time.Duration) (*delayer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &delayer{listener: l, target: target, oneWay: rtt / 2, open: map[net.Conn]struct{}{}}
	go d.accept()
	return d, nil
}

func (d *delayer) port() int { return d.listener.Addr().(*net.TCPAddr).Port }

func (d *delayer) accept() {
	for {
		in, err := d.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", d.target)
		if err != nil {
			in.Close()
			continue
		}
		d.keep(in, out)
		go d.pipe(in, out)
		go d.pipe(out, in)
	}
}

func (d *delayer) keep(conns ...net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range conns {
		d.open[c] = struct{}{}
	}
}

func (d *delayer) close() {
	d.listener.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.open {
		c.Close()
	}
}

// A parcel is bytes on their way.
type parcel struct {
	due  time.Time
	data []byte
}

// inFlight bounds the parcels on their way in one direction of a connection.
const inFlight = 4096

func (d *delayer) pipe(from, to net.Conn) {
	parcels := make(chan parcel, inFlight)
	go func() {
		defer close(parcels)
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			if n > 0 {
				parcels <- parcel{time.Now().Add(d.oneWay), b[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range parcels {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	to.Close()
	from.Close()
	for range parcels { // let the reader end
	}
}
