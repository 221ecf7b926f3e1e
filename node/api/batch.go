// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"bytes"
	"cmp"
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

	batchSignals = 1024      // about how many are looked up together
	batchBuffer  = 256 << 10 // bytes of a body that are read at once
	batchWrite   = 64 << 10  // bytes of answers that are gathered
)

// MatchBatch implements wire.StrictServerInterface.
func (s *service) MatchBatch(ctx context.Context, req wire.MatchBatchRequestObject) (wire.MatchBatchResponseObject, error) {
	return &batch{ctx: ctx, s: s, in: req.Body}, nil
}

// A batch answers while lines still come: those that arrived meanwhile together,
// and none waits for another.
type batch struct {
	ctx    context.Context
	s      *service
	in     io.Reader
	number int64 // of the last line
	broken bool  // the body did not arrive whole
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
	in := bufio.NewReaderSize(b.in, batchBuffer)
	pace := newPace(b.ctx, c, 0)
	defer pace.stop()
	for more := true; more; {
		if !wholeLine(in) && c.Flush() != nil { // the caller may wait for what it has sent
			return nil // it is gone
		}
		pace.on(batchIdle, batchIdle)
		var lines []batchLine
		lines, more = b.gather(in)
		if b.answer(w, lines) != nil {
			return nil
		}
	}
	_ = c.Flush() // its failure leaves nobody to tell
	if b.broken { // so that nobody takes these answers for all
		panic(http.ErrAbortHandler)
	}
	return nil
}

// A batchLine is one query of a batch.
type batchLine struct {
	id      string
	number  int64 // when no id could be read; else 0
	known   []spec.Signal
	unknown []Unsupported
	err     error
}

// gather waits for one line and takes with it those that are there already, up to
// about so many signals as are looked up together. more is false after the last.
func (b *batch) gather(in *bufio.Reader) (lines []batchLine, more bool) {
	for signals := 0; signals < batchSignals && (signals == 0 || wholeLine(in)); {
		b.number++
		text, err := readLine(in)
		long := spec.CodeOf(err) == spec.CodeTooLarge
		switch {
		case long:
			lines = append(lines, batchLine{number: b.number, err: err})
		case len(text) > 0:
			lines = append(lines, readBatchLine(text, b.number))
		}
		if err != nil && !long {
			b.broken = !errors.Is(err, io.EOF)
			return lines, false
		}
		signals++
		if n := len(lines); n > 0 {
			signals += len(lines[n-1].known)
		}
	}
	return lines, true
}

// wholeLine reports whether a line with its end is there.
func wholeLine(in *bufio.Reader) bool {
	there, _ := in.Peek(in.Buffered()) // which never fails
	return bytes.IndexByte(there, '\n') >= 0
}

func readBatchLine(text []byte, number int64) (l batchLine) {
	var q wire.BatchQuery
	if !q.Quick(text) {
		l.err = json.Unmarshal(text, &q)
		if l.err != nil && spec.CodeOf(l.err) == "" {
			l.err = spec.Errorf(spec.CodeMalformed, "the line is not a JSON object")
		}
	}
	l.id = q.ID
	if l.err != nil {
		l.number = number
		return l
	}
	l.known, l.unknown, l.err = readSignals(q.Signals)
	return l
}

// answer looks the lines up together and writes their answers.
func (b *batch) answer(w io.Writer, lines []batchLine) error {
	queries := make([][]spec.Signal, 0, len(lines))
	for i := range lines {
		if lines[i].err == nil {
			queries = append(queries, lines[i].known)
		}
	}
	var answers []MatchAnswer
	var failed error
	if len(queries) > 0 {
		answers, failed = b.s.b.MatchAll(b.ctx, queries)
	}
	buf := encodeBuffers.Get().(*[]byte)
	defer keepBuffer(buf)
	out := (*buf)[:0]
	for i := range lines {
		l := &lines[i]
		if l.err == nil && failed == nil {
			answers[0].Unsupported = append(answers[0].Unsupported, l.unknown...)
			out = appendBatchAnswer(out, l.id, &answers[0])
			answers = answers[1:]
		} else {
			a, err := json.Marshal(wire.BatchAnswer{ID: l.id, Line: l.number, Error: problemOf(cmp.Or(l.err, failed))})
			if err != nil {
				return err
			}
			out = append(out, a...)
		}
		if out = append(out, '\n'); len(out) >= batchWrite || i == len(lines)-1 {
			if _, err := w.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
	}
	*buf = out
	return nil
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
