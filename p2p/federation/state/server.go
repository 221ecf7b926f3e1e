// SPDX-License-Identifier: Apache-2.0

package state

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
)

// A Source is the snapshots that a node keeps. Its methods are called by many
// streams at once, and fail with GONE for a size that is not kept.
type Source interface {
	// Manifest is of the snapshot at size, or with 0 of the newest at or below upto,
	// proved against the log of upto leaves. It fails with NOT_FOUND while the log
	// has fewer.
	Manifest(size, upto uint64) (*Manifest, error)
	Chunk(size uint64, index uint32) ([]byte, error)
	// Keys is Chunk with keys in the place of values.
	Keys(size uint64, index uint32) ([]byte, error)
	Rules(size uint64, index uint32) ([]byte, error)
	// Nodes returns the hashes eight levels below a node of LiveTree or RuleTree.
	Nodes(size uint64, tree, level int, index uint64) ([]spec.Hash, error)
}

// ServeOptions are what a server needs beside its Source.
type ServeOptions struct {
	Roles      []string                        // that may ask for manifests, rules and hashes; empty: nobody
	ChunkRoles []string                        // that may ask for chunks as well
	KeyRoles   []string                        // that may ask for chunks of keys
	Role       func(p2p.PeerID) (string, bool) // as of now; nil: as when the stream was opened
	Bulk       federation.Pacer                // of all bulk streams; nil: neither paced nor packed
	Answers    int                             // that are made at once at most; 0: 8
	Logger     *slog.Logger                    // nil: slog.Default()
}

// A Server answers from one Source.
type Server struct {
	src    Source
	opts   ServeOptions
	room   chan struct{}
	chunks atomic.Uint64
	bytes  atomic.Uint64
	denied atomic.Uint64
}

// Denied is how many requests were refused, since the start, for the role of who made
// them.
func (sv *Server) Denied() uint64 { return sv.denied.Load() }

// Served tells how many chunks, of signals and of rules, were sent whole, and how
// many bytes in all, packed.
func (sv *Server) Served() (chunks, bytes uint64) { return sv.chunks.Load(), sv.bytes.Load() }

// Serve answers peers of the given roles from src.
func Serve(l federation.Listener, src Source, opts ServeOptions) *Server {
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Answers <= 0 {
		opts.Answers = 8
	}
	sv := &Server{src: src, opts: opts, room: make(chan struct{}, opts.Answers)}
	l.HandleStream(Protocol, p2p.Policy{Roles: opts.Roles, MaxRequest: maxRequest}, sv.serve)
	return sv
}

// serve answers one request after the other. What a peer asks ahead waits in its
// stream.
func (sv *Server) serve(ctx context.Context, s *p2p.Stream) error {
	for {
		frame, err := s.ReadFrame(maxRequest)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = sv.answer(ctx, s, frame)
		} else if spec.CodeOf(err) == "" {
			return err
		}
		if err != nil {
			return sv.end(s, err)
		}
	}
}

func (sv *Server) answer(ctx context.Context, s *p2p.Stream, frame []byte) error {
	select {
	case sv.room <- struct{}{}: // what is made lies in memory until it is sent
		defer func() { <-sv.room }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	data, err := sv.make(s, frame)
	if err != nil {
		return err
	}
	var packed []byte
	pack := appendStored
	if sv.opts.Bulk != nil {
		pack = appendPacked
	}
	for {
		piece, kind := data[:min(len(data), pieceSize)], byte(kindPiece)
		if data = data[len(piece):]; len(data) == 0 {
			kind = kindLast
		}
		packed = pack(append(packed[:0], kind), piece)
		if sv.opts.Bulk != nil {
			if err := sv.opts.Bulk.WaitN(ctx, len(packed)); err != nil {
				return err
			}
		}
		if err := s.WriteFrame(packed); err != nil {
			return err
		}
		sv.bytes.Add(uint64(len(packed)))
		if kind == kindLast {
			return sv.sent(s, frame[0])
		}
	}
}

// sent ends an answer to a request of a kind.
func (sv *Server) sent(s *p2p.Stream, kind byte) error {
	err := s.Flush()
	if err == nil && (kind == kindChunk || kind == kindKeys || kind == kindRules) {
		sv.chunks.Add(1)
	}
	return err
}

// make makes the answer to one request, if the peer's role allows it now.
func (sv *Server) make(s *p2p.Stream, frame []byte) ([]byte, error) {
	kind, req, err := decodeRequest(frame)
	if err != nil {
		return nil, err
	}
	roles := sv.opts.Roles
	switch kind {
	case kindChunk:
		roles = sv.opts.ChunkRoles
	case kindKeys:
		roles = sv.opts.KeyRoles
	}
	role, ok := s.Role(), true
	if sv.opts.Role != nil {
		role, ok = sv.opts.Role(s.Peer())
	}
	if !ok || !slices.Contains(roles, role) {
		sv.denied.Add(1)
		return nil, spec.Errorf(spec.CodeDenied, "not allowed")
	}
	switch r := req.(type) {
	case *manifestRequest:
		m, err := sv.src.Manifest(r.Size, r.Upto)
		if err != nil {
			return nil, err
		}
		return spec.Encode(m)
	case *chunkRequest:
		switch kind {
		case kindChunk:
			return sv.src.Chunk(r.Size, uint32(r.Index))
		case kindKeys:
			return sv.src.Keys(r.Size, uint32(r.Index))
		}
		return sv.src.Rules(r.Size, uint32(r.Index))
	case *nodesRequest:
		if r.Level > 32 || r.Tree > RuleTree {
			return nil, spec.Errorf(spec.CodeMalformed, "the trees over the state have no such node")
		}
		hashes, err := sv.src.Nodes(r.Size, int(r.Tree), int(r.Level), r.Index)
		return joinHashes(hashes), err
	}
	return nil, spec.Errorf(spec.CodeMalformed, "unknown request")
}

// end tells the peer why, in so far as it may know, and ends the stream. What has
// no code is our own fault and is logged.
func (sv *Server) end(s *p2p.Stream, err error) error {
	if c := spec.CodeOf(err); c == "" || c == spec.CodeCorrupt {
		sv.opts.Logger.Error("cannot serve the state", "peer", string(s.Peer()), "error", err)
	}
	b, encErr := encodeFault(err)
	if encErr != nil {
		return encErr
	}
	if werr := s.WriteFrame(b); werr != nil {
		return werr
	}
	return errors.Join(err, s.Close())
}
