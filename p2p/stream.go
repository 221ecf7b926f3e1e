// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"bufio"
	"encoding/binary"
	"io"
	"sync/atomic"
	"time"

	"github.com/tocsin-db/tocsin/spec"
)

// Deadlines of a stream, from spec/wire.md. Each is for one whole frame: a peer
// that trickles bytes is cut off as surely as one that sends none.
const (
	HeaderTimeout = 10 * time.Second // until the first frame is complete
	IdleTimeout   = 30 * time.Second // until each later frame is complete, and for each write
)

// Conn is the byte stream under a Stream. Reset tells the other side that the
// stream failed; Close that it ended well.
type Conn interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	CloseWrite() error
	Reset() error
}

// A Stream is a framed, bounded, two-way stream to one peer. One goroutine may
// read while another writes. Writes are buffered until Flush.
type Stream struct {
	conn Conn
	r    *bufio.Reader
	w    *bufio.Writer
	peer PeerID
	role string
	wait time.Duration // for the next frame
	free func() bool   // detaches the stream from its opener's context, or nil

	closed atomic.Bool
}

// Bytes that a stream gathers before it sends them: one that lasts has many frames
// to put together, a request and its answer are one each.
const (
	gatherLong = 64 << 10
	gatherCall = 4 << 10
)

// NewStream frames conn, which leads to peer. Hosts make their own streams;
// this is for networks that are not libp2p.
func NewStream(conn Conn, peer PeerID, role string) *Stream {
	return newStream(conn, peer, role, gatherLong)
}

func newStream(conn Conn, peer PeerID, role string, gather int) *Stream {
	return &Stream{
		conn: conn,
		r:    bufio.NewReaderSize(conn, firstRead),
		w:    bufio.NewWriterSize(conn, gather),
		peer: peer,
		role: role,
		wait: HeaderTimeout,
	}
}

// Peer is who is at the other end, proved by the transport handshake.
func (s *Stream) Peer() PeerID { return s.peer }

// Role is the peer's role when the stream was opened; "" on the opener's side.
func (s *Stream) Role() string { return s.role }

// ReadFrame reads the next frame of at most limit bytes. See ReadFrame for errors;
// a peer that is too slow causes os.ErrDeadlineExceeded.
func (s *Stream) ReadFrame(limit int) ([]byte, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(s.wait)); err != nil {
		return nil, err
	}
	s.wait = IdleTimeout
	return ReadFrame(s.r, limit)
}

// WriteFrame buffers one frame.
func (s *Stream) WriteFrame(payload []byte) error {
	if len(payload) > MaxFrame {
		return spec.Errorf(spec.CodeTooLarge, "a frame of %d bytes is above the limit of %d", len(payload), MaxFrame)
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(IdleTimeout)); err != nil {
		return err
	}
	if _, err := s.w.Write(binary.AppendUvarint(nil, uint64(len(payload)))); err != nil {
		return err
	}
	_, err := s.w.Write(payload)
	return err
}

// Flush sends what WriteFrame buffered.
func (s *Stream) Flush() error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(IdleTimeout)); err != nil {
		return err
	}
	return s.w.Flush()
}

// CloseWrite sends what is buffered and ends our direction.
func (s *Stream) CloseWrite() error {
	if err := s.Flush(); err != nil {
		return err
	}
	return s.conn.CloseWrite()
}

// Close sends what is buffered and ends the stream; Reset aborts it.
func (s *Stream) Close() error {
	if err := s.Flush(); err != nil {
		s.Reset()
		return err
	}
	s.detach()
	err := s.conn.Close()
	s.closed.Store(err == nil)
	return err
}

// Reset aborts the stream: reads and writes on both sides fail at once. What was
// closed stays so: over QUIC a reset would overtake what is on its way.
func (s *Stream) Reset() {
	s.detach()
	if !s.closed.Load() {
		_ = s.conn.Reset()
	}
}

func (s *Stream) detach() {
	if s.free != nil {
		s.free()
	}
}

// writeStatus sends the first frame of the called side.
func (s *Stream) writeStatus(err error) error {
	if err := s.bufferStatus(err); err != nil {
		return err
	}
	return s.Flush()
}

// bufferStatus is writeStatus for a status that an answer follows at once.
func (s *Stream) bufferStatus(err error) error {
	b, encErr := EncodeFault(err)
	if encErr != nil {
		return encErr
	}
	return s.WriteFrame(b)
}

// readStatus waits for the first frame of the called side.
func (s *Stream) readStatus() (status, error) {
	var st status
	b, err := s.ReadFrame(maxStatus)
	if err != nil {
		return st, err
	}
	return st, spec.Decode(b, &st)
}
