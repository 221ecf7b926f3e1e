// SPDX-License-Identifier: Apache-2.0

package media

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/node/media/sandbox"
	"github.com/tocsin-db/tocsin/spec"
)

// A request asks a child to extract from the file that comes with it.
type request struct {
	Kind   string         `json:"kind"`
	Size   int64          `json:"size"`
	Format string         `json:"format"`
	Name   string         `json:"name"`
	Limits extract.Limits `json:"limits"`
}

// A response holds a result or an error.
type response struct {
	Result  extract.Result `json:"result"`
	Code    spec.Code      `json:"code,omitempty"`
	Message string         `json:"message,omitempty"`
}

func (h *Hasher) inChild(ctx context.Context, ex extract.Extractor, src extract.Source) (extract.Result, error) {
	req, err := json.Marshal(request{ex.Kind(), src.Size, src.Format, src.Name, h.conf.limits()})
	if err != nil {
		return extract.Result{}, spec.Errorf(spec.CodeInternal, "encoding the request: %w", err)
	}
	raw, err := h.pool.Do(ctx, req, src.File)
	if err != nil {
		return extract.Result{}, childError(err)
	}
	var resp response
	if err := json.Unmarshal(raw, &resp); err != nil {
		return extract.Result{}, spec.Errorf(extract.CodeDecoder, "the decoder gave no readable answer")
	}
	if resp.Code != "" {
		return extract.Result{}, &spec.Error{Code: resp.Code, Message: resp.Message}
	}
	return resp.Result, nil
}

// childError names what became of a child that gave no answer.
func childError(err error) error {
	switch {
	case errors.Is(err, sandbox.ErrTime):
		return spec.Errorf(extract.CodeTimeout, "decoding took too long")
	case errors.Is(err, sandbox.ErrMemory):
		return spec.Errorf(spec.CodeTooLarge, "decoding takes more memory than one file may")
	}
	return spec.Errorf(extract.CodeDecoder, "the decoder failed: %w", err)
}

// serve answers one request in the child.
func serve(req []byte, file *os.File) []byte {
	var q request
	resp := response{Code: spec.CodeInternal, Message: "the request is not readable"}
	if err := json.Unmarshal(req, &q); err == nil {
		resp = answer(q, file)
	}
	raw, err := json.Marshal(resp)
	if err != nil {
		return []byte(`{"code":"INTERNAL","message":"encoding the answer"}`)
	}
	return raw
}

func answer(q request, file *os.File) response {
	ex := byKind(q.Kind)
	if ex == nil {
		return response{Code: spec.CodeInternal, Message: "the child has no such decoder"}
	}
	src := extract.Source{File: file, Size: q.Size, Format: q.Format, Name: q.Name}
	res, err := recovered(context.Background(), ex, src, q.Limits)
	if err == nil {
		return response{Result: res}
	}
	var rec Record
	rec.fail(nil, err)
	return response{Code: rec.Err.Code, Message: rec.Err.Error()}
}
