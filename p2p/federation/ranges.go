// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"errors"
	"io"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// ranges serves one stream of RangeProtocol.
func (sv *Server) ranges(ctx context.Context, s *p2p.Stream) error {
	for {
		frame, err := s.ReadFrame(maxControl)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		m, err := decodeRange(frame)
		if err != nil {
			return sv.end(s, err)
		}
		w, ok := m.(*want)
		if !ok {
			return sv.end(s, spec.Errorf(spec.CodeMalformed, "a message that only servers send"))
		}
		if err := sv.answer(ctx, s, w); err != nil {
			return err
		}
	}
}

// answer sends the groups of one Want and the proof of where they end.
func (sv *Server) answer(ctx context.Context, s *p2p.Stream, w *want) error {
	if size, _ := sv.src.Final(); w.Upto > size {
		return sv.end(s, spec.Errorf(spec.CodeNotFound, "the final log has %d leaves here", size))
	}
	next, left := w.From, int(w.Bytes)
	for left > 0 && next < w.Upto {
		groups, err := sv.groups(ctx, s.Role(), next, min(left, readBatch))
		if err != nil {
			return sv.end(s, err)
		}
		for i := range groups {
			g := &groups[i]
			if left -= g.cost(); g.Next() > w.Upto || left < 0 && next > w.From {
				left = 0
				break
			}
			if err := sendGroup(s, g, func(n int) error { return sv.bulk.WaitN(ctx, n) }); err != nil {
				return err
			}
			next = g.Next()
		}
	}
	if next == w.From {
		return sv.end(s, spec.Errorf(spec.CodeNotFound, "no group ends within %d leaves", w.Upto))
	}
	m := &seal{Next: next}
	if next < w.Upto {
		var err error
		if m.Proof, err = sv.src.Prove(next, w.Upto); err != nil {
			return sv.end(s, err)
		}
	}
	b, err := encode(kindSeal, m)
	if err != nil {
		return sv.end(s, err)
	}
	if err := s.WriteFrame(b); err != nil {
		return err
	}
	return s.Flush()
}
