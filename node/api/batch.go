// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

const (
	maxLine   = 1 << 20 // bytes of one query of a batch
	batchIdle = 2 * time.Minute
)

// MatchBatch implements wire.StrictServerInterface.
func (s *service) MatchBatch(ctx context.Context, req wire.MatchBatchRequestObject) (wire.MatchBatchResponseObject, error) {
	return &batch{ctx: ctx, s: s, in: req.Body}, nil
}

// A batch answers line by line while lines still come.
type batch struct {
	ctx context.Context
	s   *service
	in  io.Reader
}

// VisitMatchBatchResponse implements wire.MatchBatchResponseObject.
func (b *batch) VisitMatchBatchResponse(w http.ResponseWriter) error {
	c := http.NewResponseController(w)
	// Without it HTTP/1.1 drops what was not read when the answer begins.
	if err := c.EnableFullDuplex(); err != nil {
		return spec.Errorf(spec.CodeInternal, "answering while reading: %w", err)
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	in := bufio.NewReaderSize(b.in, 64<<10)
	out := bufio.NewWriterSize(w, 32<<10)
	for n := int64(1); ; n++ {
		if in.Buffered() == 0 { // the caller waits for what it has sent
			if out.Flush() != nil || c.Flush() != nil {
				return nil // it is gone
			}
		}
		now := time.Now()
		_, _ = c.SetReadDeadline(now.Add(batchIdle)), c.SetWriteDeadline(now.Add(batchIdle))
		line, err := readLine(in)
		long := spec.CodeOf(err) == spec.CodeTooLarge
		if long || len(line) > 0 {
			var a wire.BatchAnswer
			if long {
				a = wire.BatchAnswer{Line: n, Error: problemOf(err)}
			} else {
				a = b.answer(line, n)
			}
			if json.NewEncoder(out).Encode(a) != nil {
				return nil
			}
		}
		if err != nil && !long {
			_, _ = out.Flush(), c.Flush()
			return nil
		}
	}
}

// answer looks one line up.
func (b *batch) answer(line []byte, n int64) wire.BatchAnswer {
	var q wire.BatchQuery
	err := json.Unmarshal(line, &q)
	if err != nil && spec.CodeOf(err) == "" {
		err = spec.Errorf(spec.CodeMalformed, "the line is not a JSON object")
	}
	if err != nil {
		return wire.BatchAnswer{ID: q.ID, Line: n, Error: problemOf(err)}
	}
	a, err := b.s.matchSignals(b.ctx, q.Signals)
	if err != nil {
		return wire.BatchAnswer{ID: q.ID, Error: problemOf(err)}
	}
	return wire.BatchAnswer{ID: q.ID, Answer: &a}
}

// readLine returns the next line without its end, empty for an empty one. A line
// that is too long is skipped and gets TOO_LARGE; other errors end the batch.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxLine; !long {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long && (err == nil || errors.Is(err, io.EOF)) {
			return nil, spec.Errorf(spec.CodeTooLarge, "a line has at most %d bytes", maxLine)
		}
		return bytes.TrimSpace(line), err
	}
}
