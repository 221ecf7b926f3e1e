// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"io"
	"mime/multipart"
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
	var a wire.MatchAnswer
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
	return wire.Match200JSONResponse(a), nil
}

// matchSignals looks up what is of a known type and reports the rest as
// unsupported.
func (s *service) matchSignals(ctx context.Context, in []wire.Signal) (wire.MatchAnswer, error) {
	if len(in) == 0 || len(in) > maxQuery {
		return wire.MatchAnswer{}, wire.At("/signals", spec.Errorf(spec.CodeMalformed, "a lookup is of 1 to %d signals", maxQuery))
	}
	var known []spec.Signal
	var unknown []Unsupported
	for i, w := range in {
		sig, err := signal(w, "/signals/"+strconv.Itoa(i))
		switch {
		case spec.CodeOf(err) == spec.CodeSignalType:
			unknown = append(unknown, Unsupported{w.Type, spec.CodeSignalType})
		case err != nil:
			return wire.MatchAnswer{}, err
		default:
			known = append(known, sig)
		}
	}
	a, err := s.b.Match(ctx, known)
	if err != nil {
		return wire.MatchAnswer{}, err
	}
	a.Unsupported = append(a.Unsupported, unknown...)
	return wireAnswer(a), nil
}

// matchForm looks up the one file of a form.
func (s *service) matchForm(ctx context.Context, form *multipart.Reader) (wire.MatchAnswer, error) {
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return wire.MatchAnswer{}, spec.Errorf(spec.CodeMalformed, `the form has no file in a field "file"`)
		}
		if err != nil {
			return wire.MatchAnswer{}, badForm(err)
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
// of a supported kind with the same content might match.
func (s *service) matchFile(ctx context.Context, r io.Reader, name string) (wire.MatchAnswer, error) {
	a, err := s.b.MatchFile(ctx, r, name)
	if err != nil {
		return wire.MatchAnswer{}, err
	}
	out := wireAnswer(a)
	if a.Verdict() == VerdictUnchecked && !anyNear(a.Signals) {
		return wire.MatchAnswer{}, &uncheckedError{out}
	}
	return out, nil
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
		Size:    int64(a.Size), FinalSize: int64(a.Final), AgeMs: a.Age.Milliseconds(), Stale: a.Stale,
	}
	for i, m := range a.Matches {
		out.Matches[i] = wire.Match{
			Entry: m.Entry.String(), Type: m.Type, Distance: m.Distance, Threshold: m.Threshold,
			State: wire.EntryState(m.State), Labels: list(m.Labels), LogIndex: int64(m.LogIndex), Final: m.Final,
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
