// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"context"
	"net"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/tocsin-db/tocsin/spec"
)

// Handlers must return soon after their ctx ends: Host.Close waits for them, so
// that what they use can be closed next.

// A StreamHandler serves one long stream. It returns nil when the stream ended
// well; after an error the stream is reset. ctx ends, and the stream fails, when
// the peer loses its right to the protocol or the host closes.
type StreamHandler func(ctx context.Context, s *Stream) error

// A RequestHandler answers one request. The error's code and message reach the
// caller; an error without a code reaches it as INTERNAL and is logged here.
type RequestHandler func(ctx context.Context, from PeerID, role string, req []byte) ([]byte, error)

// A ConnHandler serves a stream whose bytes the host does not frame. It owns
// conn from then on and must close it.
type ConnHandler func(from PeerID, conn net.Conn)

// HandleStream serves long streams of a protocol to the peers that policy names.
func (h *Host) HandleStream(proto string, policy Policy, fn StreamHandler) {
	h.serve(proto, policy, gatherLong, func(ctx context.Context, s *Stream) error {
		if err := s.writeStatus(nil); err != nil {
			return err
		}
		return fn(ctx, s)
	})
}

// Handle serves requests of a protocol to the peers that policy names.
func (h *Host) Handle(proto string, policy Policy, fn RequestHandler) {
	policy = policy.withDefaults()
	h.serve(proto, policy, gatherCall, func(ctx context.Context, s *Stream) error {
		req, err := s.ReadFrame(policy.MaxRequest)
		if spec.CodeOf(err) != "" {
			return s.writeStatus(err)
		}
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, policy.Timeout)
		defer cancel()
		resp, err := fn(ctx, s.peer, s.role, req)
		return h.answer(proto, s, resp, err)
	})
}

func (h *Host) answer(proto string, s *Stream, resp []byte, err error) error {
	st := statusOf(err)
	if st.Code == spec.CodeInternal {
		h.logger.Error("request failed", "protocol", proto, "peer", string(s.peer), "error", err)
	}
	if len(resp) > MaxFrame {
		h.logger.Error("response is too large", "protocol", proto, "bytes", len(resp))
		err = errTooLargeResponse
	}
	if err != nil {
		return s.writeStatus(err)
	}
	if err := s.bufferStatus(nil); err != nil {
		return err
	}
	return s.WriteFrame(resp)
}

// serve runs fn for each admitted inbound stream and answers the others with
// DENIED or BUSY before reading anything.
func (h *Host) serve(proto string, policy Policy, gather int, fn StreamHandler) {
	policy = policy.withDefaults()
	h.h.SetStreamHandler(protocol.ID(proto), func(ns network.Stream) {
		ctx, cancel := context.WithCancelCause(h.ctx)
		defer cancel(nil)
		s := newStream(ns, idOf(ns.Conn().RemotePeer()), "", gather)
		if err := reserve(ns, policy); err != nil {
			h.logger.Info("stream refused", "protocol", proto, "peer", string(s.peer), "error", err)
			s.Reset()
			return
		}
		g := &guest{seat: seat{proto, s.peer}, policy: policy, end: cancel}
		role, err := h.inbound.enter(g, h.dir)
		if err != nil {
			h.refuse(proto, s, err)
			return
		}
		defer h.inbound.leave(g)
		s.role = role
		stop := context.AfterFunc(ctx, s.Reset)
		defer stop()
		h.finish(proto, s, fn(ctx, s))
	})
}

func (h *Host) refuse(proto string, s *Stream, err error) {
	h.logger.Info("stream refused", "protocol", proto, "peer", string(s.peer), "error", err)
	if s.writeStatus(err) != nil || s.Close() != nil {
		s.Reset()
	}
}

func (h *Host) finish(proto string, s *Stream, err error) {
	if err != nil {
		h.logger.Debug("stream failed", "protocol", proto, "peer", string(s.peer), "error", err)
		s.Reset()
		return
	}
	_ = s.Close() // resets by itself when the peer no longer listens
}

// HandleConn serves unframed streams of a protocol. A refused peer sees its
// stream reset, since there is no frame to tell it in.
func (h *Host) HandleConn(proto string, policy Policy, fn ConnHandler) {
	policy = policy.withDefaults()
	h.h.SetStreamHandler(protocol.ID(proto), func(ns network.Stream) {
		ctx, cancel := context.WithCancelCause(h.ctx)
		from := idOf(ns.Conn().RemotePeer())
		g := &guest{seat: seat{proto, from}, policy: policy, end: cancel}
		if _, err := h.inbound.enter(g, h.dir); err != nil {
			h.logger.Info("stream refused", "protocol", proto, "peer", string(from), "error", err)
			cancel(nil)
			_ = ns.Reset()
			return
		}
		c := newConn(ns, func() { h.inbound.leave(g); cancel(nil) })
		context.AfterFunc(ctx, func() { _ = c.Close() })
		fn(from, c)
	})
}

// Unhandle stops serving a protocol and ends the streams that peers have open.
func (h *Host) Unhandle(proto string) {
	h.h.RemoveStreamHandler(protocol.ID(proto))
	h.inbound.end(proto)
}
