// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// MaxRows is how many rows one call of match:rows takes.
const MaxRows = 1 << 20

const (
	rowBytes = 32
	// flushRows is how many answers are gathered before they are sent: fewer would
	// cost a write of the connection for every block.
	flushRows = 16 << 10
)

// rowsTime is how long a body of rows may take in all.
const rowsTime = 10 * time.Minute

// A rowsReader is a body of rows. Every block that comes buys more time for the
// next.
type rowsReader struct {
	io.ReadCloser
	pace  *pace // once it is read
	known bool  // whole rows, as its length says: answers can be sent before its end
}

// boundRows refuses bodies whose length says that they are wrong and limits others.
func boundRows(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength > rowBytes*MaxRows {
		return spec.Errorf(spec.CodeTooLarge, "the body has %d bytes, at most %d rows of %d are answered", r.ContentLength, MaxRows, rowBytes)
	}
	if r.ContentLength > 0 && r.ContentLength%rowBytes != 0 {
		return spec.Errorf(spec.CodeMalformed, "the body has %d bytes, which is no multiple of %d", r.ContentLength, rowBytes)
	}
	r.Body = &rowsReader{http.MaxBytesReader(w, r.Body, rowBytes*MaxRows), nil, r.ContentLength >= 0}
	return nil
}

func (b *rowsReader) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if len(p) > n && err == nil { // it waits for the caller
		b.pace.on(readTimeout, writeTimeout)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) { // not the end: the caller left
		err = spec.Errorf(spec.CodeMalformed, "the body did not arrive")
	}
	return n, err
}

// MatchRows implements wire.StrictServerInterface.
func (s *service) MatchRows(ctx context.Context, req wire.MatchRowsRequestObject) (wire.MatchRowsResponseObject, error) {
	return &rowsAnswer{ctx: ctx, s: s, in: req.Body}, nil
}

type rowsAnswer struct {
	ctx context.Context
	s   *service
	in  io.Reader
}

// VisitMatchRowsResponse implements wire.MatchRowsResponseObject.
func (a *rowsAnswer) VisitMatchRowsResponse(w http.ResponseWriter) error {
	out := &rowsWriter{w: w, conn: http.NewResponseController(w)}
	body, ok := a.in.(*rowsReader)
	if ok {
		body.pace = newPace(a.ctx, out.conn, rowsTime)
		defer body.pace.stop()
	}
	if ok && body.known {
		out.most = flushRows
		if err := out.conn.EnableFullDuplex(); err != nil {
			return spec.Errorf(spec.CodeInternal, "answering while reading: %w", err)
		}
	} else {
		out.most = MaxRows
	}
	err := a.s.b.MatchRows(a.ctx, a.in, out, out.about)
	if err != nil && !out.begun {
		return err
	}
	if err != nil { // the answer cannot be taken back: break it off
		panic(http.ErrAbortHandler)
	}
	return out.flush()
}

// A rowsWriter gathers answers.
type rowsWriter struct {
	w     http.ResponseWriter
	conn  *http.ResponseController
	kept  bytes.Buffer
	most  int // answers that are gathered
	begun bool
	Freshness
}

func (o *rowsWriter) about(f Freshness) { o.Freshness = f }

func (o *rowsWriter) Write(p []byte) (int, error) {
	if o.kept.Len() > 0 && o.kept.Len()+len(p) > o.most {
		if err := o.flush(); err != nil {
			return 0, err
		}
		if err := o.conn.Flush(); err != nil {
			return 0, err
		}
	}
	return o.kept.Write(p)
}

func (o *rowsWriter) flush() error {
	if !o.begun {
		o.begun = true
		h := o.w.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Tocsin-Log-Size", strconv.FormatUint(o.Size, 10))
		h.Set("Tocsin-Log-Final", strconv.FormatUint(o.Final, 10))
		h.Set("Tocsin-Log-Age-Ms", strconv.FormatInt(o.Age.Milliseconds(), 10))
		h.Set("Tocsin-Log-Stale", strconv.FormatBool(o.Stale))
		if o.Incomplete {
			h.Set("Tocsin-Incomplete", "true")
		}
	}
	_, err := o.w.Write(o.kept.Bytes())
	o.kept.Reset()
	return err
}
