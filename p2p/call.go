// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"

	"github.com/tocsin-db/tocsin/spec"
)

// errTooLargeResponse is our own handler's fault, told to the caller as such.
var errTooLargeResponse = spec.Errorf(spec.CodeTooLarge, "the response is above %d bytes", MaxFrame)

// Call sends req to a peer and returns its response of at most maxResp bytes.
// Without a deadline in ctx it waits DefaultTimeout. The error is one of
//
//   - a *Fault: the peer's own answer, with its code (DENIED, BUSY, GONE, …);
//   - one that wraps ErrNotSent: the handler cannot have seen the request;
//   - one that wraps ErrUnknownOutcome: it may have carried the request out.
func (h *Host) Call(ctx context.Context, to PeerID, proto string, req []byte, maxResp int) ([]byte, error) {
	if len(req) > MaxFrame {
		return nil, spec.Errorf(spec.CodeTooLarge, "a request of %d bytes is above the limit of %d", len(req), MaxFrame)
	}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	ns, err := h.open(ctx, to, proto)
	if err != nil {
		return nil, err
	}
	s := newStream(ns, to, "", gatherCall)
	defer s.Reset() // after an answer was read there is nothing left to lose
	stop := context.AfterFunc(ctx, s.Reset)
	defer stop()
	deadline, _ := ctx.Deadline()
	s.wait = time.Until(deadline)
	return exchange(ctx, s, req, maxResp)
}

func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, DefaultTimeout)
}

// smallRequest is sent without waiting for the peer to take it.
const smallRequest = 16 << 10

// exchange writes while it reads, unless the request is small: a peer may refuse a
// request before it has read it all, and that answer must be heard.
func exchange(ctx context.Context, s *Stream, req []byte, maxResp int) ([]byte, error) {
	write := func() {
		if s.WriteFrame(req) != nil || s.CloseWrite() != nil {
			return // the reader below learns what became of it
		}
	}
	if len(req) <= smallRequest {
		write()
	} else {
		go write()
	}
	st, err := s.readStatus()
	if err != nil {
		return nil, unanswered(ctx, s.peer, err)
	}
	if err := st.err(); err != nil {
		return nil, err
	}
	resp, err := s.ReadFrame(maxResp)
	if err != nil {
		return nil, unanswered(ctx, s.peer, err)
	}
	return resp, nil
}

func unanswered(ctx context.Context, to PeerID, err error) error {
	if neverHandled(err) {
		return notSent(to, err)
	}
	if ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	return unknown(to, err)
}

// neverHandled reports whether the peer's stack ended the stream before any
// handler could see it: the protocol is not served, or its limit is reached.
func neverHandled(err error) bool {
	var unsupported multistream.ErrNotSupported[protocol.ID]
	var reset *network.StreamError
	if errors.As(err, &reset) && reset.Remote {
		return reset.ErrorCode == network.StreamProtocolNegotiationFailed || reset.ErrorCode == network.StreamResourceLimitExceeded
	}
	return errors.As(err, &unsupported)
}

// OpenStream opens a long stream and waits until the peer has admitted it. A
// refusal is a *Fault; other errors wrap ErrNotSent. The stream is reset when
// ctx ends; the caller closes or resets it before that.
func (h *Host) OpenStream(ctx context.Context, to PeerID, proto string) (*Stream, error) {
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	ns, err := h.open(dialCtx, to, proto)
	if err != nil {
		return nil, err
	}
	s := NewStream(ns, to, "")
	s.free = context.AfterFunc(ctx, func() { _ = ns.Reset() })
	st, err := s.readStatus()
	if err == nil {
		err = st.err()
	} else {
		err = notSent(to, err)
	}
	if err != nil {
		s.Reset()
		return nil, err
	}
	return s, nil
}

// open makes a stream, dialling at once when there is no connection: pauses
// between attempts are the callers' business. Errors wrap ErrNotSent.
func (h *Host) open(ctx context.Context, to PeerID, proto string) (network.Stream, error) {
	p, err := to.decode()
	if err != nil {
		return nil, notSent(to, err)
	}
	h.clearBackoff(p)
	ns, err := h.h.NewStream(ctx, p, protocol.ID(proto))
	if err != nil {
		return nil, notSent(to, err)
	}
	return ns, nil
}
