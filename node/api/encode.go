// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"

	"github.com/tocsin-db/tocsin/spec"
)

// Answers to lookups are written by hand, byte for byte as encoding/json writes
// what wireAnswer makes of them.

var encodeBuffers = sync.Pool{New: func() any { return new([]byte) }}

// maxKept bounds the buffers that are kept for later.
const maxKept = 256 << 10

func keepBuffer(b *[]byte) {
	if cap(*b) <= maxKept {
		encodeBuffers.Put(b)
	}
}

// A matchAnswer is written as the body of an answer.
type matchAnswer struct{ MatchAnswer }

// VisitMatchResponse implements wire.MatchResponseObject.
func (a *matchAnswer) VisitMatchResponse(w http.ResponseWriter) error {
	buf := encodeBuffers.Get().(*[]byte)
	defer keepBuffer(buf)
	b := append(appendAnswer((*buf)[:0], &a.MatchAnswer), '\n')
	*buf = b
	h := w.Header()
	h["Content-Type"], h["Content-Length"] = jsonKind, []string{strconv.Itoa(len(b))}
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(b)
	return err
}

// appendBatchAnswer writes a line of a batch.
func appendBatchAnswer(b []byte, id string, a *MatchAnswer) []byte {
	b = appendAnswer(append(b, `{"answer":`...), a)
	return append(appendText(append(b, `,"id":`...), id), '}')
}

func appendAnswer(b []byte, a *MatchAnswer) []byte {
	b = strconv.AppendInt(append(b, `{"age_ms":`...), a.Age.Milliseconds(), 10)
	if len(a.Consortia) > 0 {
		b = appendConsortia(append(b, `,"consortia":[`...), a.Consortia)
	}
	b = strconv.AppendInt(append(b, `,"final_size":`...), int64(a.Final), 10)
	if a.Incomplete {
		b = append(b, `,"incomplete":true`...)
	}
	b = append(b, `,"matches":[`...)
	for i := range a.Matches {
		b = appendMatch(comma(b, i), &a.Matches[i])
	}
	b = append(b, `],"signals":[`...)
	for i := range a.Signals {
		b = appendSignal(comma(b, i), &a.Signals[i])
	}
	b = strconv.AppendInt(append(b, `],"size":`...), int64(a.Size), 10)
	b = strconv.AppendBool(append(b, `,"stale":`...), a.Stale)
	b = strconv.AppendBool(append(b, `,"truncated":`...), a.Truncated)
	b = append(b, `,"unsupported":[`...)
	for i, u := range a.Unsupported {
		b = appendText(append(comma(b, i), `{"code":`...), string(u.Code))
		b = append(appendText(append(b, `,"type":`...), u.Type), '}')
	}
	return append(appendText(append(b, `],"verdict":`...), a.Verdict()), '}')
}

func appendConsortia(b []byte, list []ConsortiumAnswer) []byte {
	for i := range list {
		c := &list[i]
		b = strconv.AppendInt(append(comma(b, i), `{"age_ms":`...), c.Age.Milliseconds(), 10)
		if c.Code != "" {
			b = appendText(append(b, `,"code":`...), string(c.Code))
		}
		b = strconv.AppendInt(append(b, `,"final_size":`...), int64(c.Final), 10)
		b = appendText(append(b, `,"name":`...), c.Name)
		b = appendText(append(b, `,"origin":`...), c.Origin)
		if c.Reason != "" {
			b = appendText(append(b, `,"reason":`...), c.Reason)
		}
		b = strconv.AppendInt(append(b, `,"size":`...), int64(c.Size), 10)
		b = append(strconv.AppendBool(append(b, `,"stale":`...), c.Stale), '}')
	}
	return append(b, ']')
}

func appendMatch(b []byte, m *Match) []byte {
	b = append(b, '{')
	if m.Consortium != "" {
		b = append(appendText(append(b, `"consortium":`...), m.Consortium), ',')
	}
	b = strconv.AppendInt(append(b, `"distance":`...), int64(m.Distance), 10)
	b = hex.AppendEncode(append(b, `,"entry":"`...), m.Entry[:])
	b = strconv.AppendBool(append(b, `","final":`...), m.Final)
	b = append(b, `,"labels":[`...)
	for i, l := range m.Labels {
		b = appendText(comma(b, i), l)
	}
	b = strconv.AppendInt(append(b, `],"log_index":`...), int64(m.LogIndex), 10)
	b = appendText(append(b, `,"state":`...), m.State)
	b = strconv.AppendInt(append(b, `,"threshold":`...), int64(m.Threshold), 10)
	b = appendText(append(b, `,"type":`...), m.Type)
	if m.Verdict != "" {
		b = appendText(append(b, `,"verdict":`...), m.Verdict)
	}
	return append(b, '}')
}

func appendSignal(b []byte, s *spec.Signal) []byte {
	t, ok := spec.SignalTypeOf(s.Type)
	b = append(b, '{')
	if ok && t.Quality {
		b = append(strconv.AppendInt(append(b, `"quality":`...), int64(s.Quality), 10), ',')
	}
	b = appendText(append(b, `"type":`...), s.Type)
	b = append(b, `,"value":`...)
	if ok && t.Text == "" {
		b = append(hex.AppendEncode(append(b, '"'), s.Value), '"')
	} else {
		b = appendText(b, s.Text())
	}
	return append(b, '}')
}

func comma(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}

// appendText writes a string; json.Marshal knows how to escape.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			escaped, _ := json.Marshal(s) // a string never fails
			return append(b, escaped...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
