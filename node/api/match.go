// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// maxQuery is how many signals one lookup takes: a video has one for each frame.
const maxQuery = spec.MaxSignals

// A service answers the operations of spec/openapi.yaml from a Backend.
type service struct{ b Backend }

// Match implements wire.StrictServerInterface.
func (s *service) Match(ctx context.Context, req wire.MatchRequestObject) (wire.MatchResponseObject, error) {
	var a MatchAnswer
	var err error
	switch {
	case req.JSONBody != nil:
		a, err = s.matchSignals(ctx, req.JSONBody.Signals)
	case req.MultipartBody != nil:
		a, err = s.matchForm(ctx, req.MultipartBody)
	default:
		a, err = s.matchFile(ctx, req.Body, "")
	}
	if err != nil {
		return nil, err
	}
	return &matchAnswer{a}, nil
}

// matchPlain answers a small request: see plain.
func (s *service) matchPlain(w http.ResponseWriter, r *http.Request) (answered bool) {
	if r.ContentLength <= 0 || r.ContentLength > plainBody || r.Header.Get("Content-Type") != "application/json" {
		return false
	}
	buf := encodeBuffers.Get().(*[]byte)
	defer keepBuffer(buf)
	*buf = slices.Grow((*buf)[:0], plainBody)
	n, err := io.ReadFull(r.Body, (*buf)[:r.ContentLength])
	var q wire.MatchRequest
	if read := (*buf)[:n]; err != nil || !q.Quick(read) {
		r.Body = &readBefore{r.Body, io.MultiReader(bytes.NewReader(bytes.Clone(read)), r.Body)}
		return false
	}
	a, err := s.matchSignals(r.Context(), q.Signals)
	if err == nil {
		err = (&matchAnswer{a}).VisitMatchResponse(w)
	}
	if err != nil {
		fail(w, r, err)
	}
	return true
}

// plainBody bounds the bytes of a small request.
const plainBody = 4 << 10

// readBefore is a body of which the beginning was read already.
type readBefore struct {
	io.Closer
	io.Reader
}

func (s *service) matchSignals(ctx context.Context, in []wire.Signal) (MatchAnswer, error) {
	known, unknown, err := readSignals(in)
	if err != nil {
		return MatchAnswer{}, err
	}
	a, err := s.b.Match(ctx, known)
	if err != nil {
		return MatchAnswer{}, err
	}
	a.Unsupported = append(a.Unsupported, unknown...)
	return a, nil
}

// readSignals reads what is to be looked up. What is of no known type is reported
// as unsupported.
func readSignals(in []wire.Signal) (known []spec.Signal, unknown []Unsupported, err error) {
	if len(in) == 0 || len(in) > maxQuery {
		return nil, nil, wire.At("/signals", spec.Errorf(spec.CodeMalformed, "a lookup is of 1 to %d signals", maxQuery))
	}
	known = make([]spec.Signal, 0, len(in))
	for i := range in {
		sig, err := spec.ParseSignal(in[i].Type, in[i].Value)
		if err != nil || in[i].Quality != nil {
			sig, err = signal(in[i], "/signals/"+strconv.Itoa(i))
		}
		switch {
		case spec.CodeOf(err) == spec.CodeSignalType:
			unknown = append(unknown, Unsupported{in[i].Type, spec.CodeSignalType})
		case err != nil:
			return nil, nil, err
		default:
			known = append(known, sig)
		}
	}
	return known, unknown, nil
}

// matchForm looks up the one file of a form.
func (s *service) matchForm(ctx context.Context, form *multipart.Reader) (MatchAnswer, error) {
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return MatchAnswer{}, spec.Errorf(spec.CodeMalformed, `the form has no file in a field "file"`)
		}
		if err != nil {
			return MatchAnswer{}, badForm(err)
		}
		if part.FormName() == "file" {
			return s.matchFile(ctx, part, part.FileName())
		}
	}
}

// badForm keeps the errors of reading and calls all others the caller's.
func badForm(err error) error {
	if p := problemOf(err); p.Code != string(spec.CodeInternal) {
		return err
	}
	return spec.Errorf(spec.CodeMalformed, "the body is not the form that its Content-Type says")
}

// matchFile hashes and looks up a file. When nothing could be computed but its
// exact hashes, and those match nothing, that is no answer but a failure: a file
// of a supported kind with the same content might match. Where not everything was
// looked at, whether they match nothing is not known, and the answer says so itself.
func (s *service) matchFile(ctx context.Context, r io.Reader, name string) (MatchAnswer, error) {
	a, err := s.b.MatchFile(ctx, r, name)
	if err == nil && a.Verdict() == VerdictUnchecked && !a.Incomplete && !a.Truncated && !anyNear(a.Signals) {
		err = &uncheckedError{wireAnswer(a)}
	}
	return a, err
}

// anyNear reports whether a signal is of a type with a distance.
func anyNear(signals []spec.Signal) bool {
	for _, s := range signals {
		if t, ok := spec.SignalTypeOf(s.Type); ok && t.Threshold > 0 {
			return true
		}
	}
	return false
}

// signal reads a signal of a request at a pointer.
func signal(w wire.Signal, pointer string) (spec.Signal, error) {
	s, err := spec.ParseSignal(w.Type, w.Value)
	if spec.CodeOf(err) == spec.CodeSignalType {
		return s, wire.At(pointer+"/type", err)
	}
	if err != nil {
		return s, wire.At(pointer+"/value", err)
	}
	if w.Quality != nil {
		s.Quality = *w.Quality
		return s, wire.At(pointer+"/quality", s.Check())
	}
	return s, nil
}

func wireAnswer(a MatchAnswer) wire.MatchAnswer {
	out := wire.MatchAnswer{
		Verdict: wire.Verdict(a.Verdict()), Truncated: a.Truncated,
		Matches: make([]wire.Match, len(a.Matches)), Unsupported: make([]wire.Unsupported, len(a.Unsupported)),
		Signals: wireSignals(a.Signals),
		Size:    int64(a.Size), FinalSize: int64(a.Final), AgeMs: a.Age.Milliseconds(), Stale: a.Stale, Incomplete: a.Incomplete,
	}
	for i := range a.Consortia {
		out.Consortia = append(out.Consortia, wireConsortiumAnswer(&a.Consortia[i]))
	}
	for i, m := range a.Matches {
		out.Matches[i] = wire.Match{
			Entry: m.Entry.String(), Type: m.Type, Distance: m.Distance, Threshold: m.Threshold,
			State: wire.EntryState(m.State), Labels: list(m.Labels), LogIndex: int64(m.LogIndex), Final: m.Final,
			Verdict: wire.Verdict(m.Verdict), Consortium: m.Consortium,
		}
	}
	for i, u := range a.Unsupported {
		out.Unsupported[i] = wire.Unsupported{Type: u.Type, Code: string(u.Code)}
	}
	return out
}

func wireSignals(in []spec.Signal) []wire.Signal {
	out := make([]wire.Signal, len(in))
	for i, s := range in {
		out[i] = wire.Signal{Type: s.Type, Value: s.Text()}
		if t, ok := spec.SignalTypeOf(s.Type); ok && t.Quality {
			out[i].Quality = &in[i].Quality
		}
	}
	return out
}

// list makes an empty list of nil, which JSON would write as null.
func list[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}
