// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

const requestIDHeader = "X-Request-Id"

type loggerKey struct{}

func loggerOf(ctx context.Context) *slog.Logger {
	if l, ok := ctx.Value(loggerKey{}).(*slog.Logger); ok {
		return l
	}
	return slog.New(slog.DiscardHandler)
}

// identify names each request and logs what became of it: the route, never the
// URL, the body or who asked for what.
func identify(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, began := rand.Text()[:12], time.Now()
		h := w.Header()
		h[requestIDHeader], h["Cache-Control"], h["X-Content-Type-Options"] = []string{id}, noStore, noSniff
		if r.Context().Value(loggerKey{}) == nil { // the doors' connections have it
			r = r.WithContext(context.WithValue(r.Context(), loggerKey{}, log))
		}
		rec := &recorder{ResponseWriter: w}
		defer func() {
			rec.recovered(r, recover())
			if !log.Enabled(r.Context(), slog.LevelDebug) {
				return
			}
			log.LogAttrs(r.Context(), slog.LevelDebug, "request",
				slog.String("request", id), slog.String("route", r.Pattern), slog.Int("status", rec.status), slog.Duration("took", time.Since(began)))
		}()
		next.ServeHTTP(rec, r)
	})
}

// Values of headers that answers share. They are written, never changed.
var noStore, noSniff, jsonKind = []string{"no-store"}, []string{"nosniff"}, []string{"application/json"}

// A recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// recovered answers for a handler that panicked.
func (r *recorder) recovered(req *http.Request, v any) {
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { // on purpose
		panic(v)
	}
	loggerOf(req.Context()).Error("a handler panicked", "route", req.Pattern, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	if r.status == 0 {
		fail(r, req, spec.Errorf(spec.CodeInternal, "a handler panicked"))
		return
	}
	panic(http.ErrAbortHandler) // the answer had begun: break the connection off
}

// handler routes requests to the backend after access and limits are decided.
// notYet, unless nil, says why nothing but health is answered.
func handler(cfg Config, s *service, notYet func() error) http.Handler {
	mux := http.NewServeMux()
	strict := wire.NewStrictHandlerWithOptions(s, nil, wire.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  failRequest,
		ResponseErrorHandlerFunc: fail,
	})
	wire.HandlerWithOptions(strict, wire.StdHTTPServerOptions{BaseRouter: mux, ErrorHandlerFunc: failParameter})
	mountProofs(mux, cfg.Proofs)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, pattern := mux.Handler(r)
		route, ok := routes[pattern]
		if !ok {
			route, ok = proofRoutes[pattern]
		}
		if !ok && notYet == nil {
			unrouted(mux, w, r)
			return
		}
		r.Pattern = pattern
		if ok {
			if err := admit(callerOf(r.Context()), route); err != nil {
				fail(w, r, err)
				return
			}
		}
		if notYet != nil && !health[pattern] {
			fail(w, r, notYet())
			return
		}
		if err := bound(w, r, route, cfg.MaxFileBytes); err != nil {
			fail(w, r, err)
			return
		}
		if b, ok := r.Body.(*steadyBody); ok {
			defer b.pace.stop()
		}
		if plain := s.plain(pattern); plain != nil && plain(w, r) {
			return
		}
		if strings.Contains(pattern, "{") {
			found = mux // which also tells what stands at the wildcards
		}
		found.ServeHTTP(w, r)
	})
}

// plain returns what answers requests of a route that are written as programs write
// them without the generated decoder, or nil. What it returns is false for all others,
// of which nothing is lost.
func (s *service) plain(pattern string) func(http.ResponseWriter, *http.Request) (answered bool) {
	switch pattern {
	case "POST /v1/match":
		return s.matchPlain
	case "POST /v1/proposals":
		return s.proposePlain
	}
	return nil
}

// unrouted answers for a path or a method that there is not.
func unrouted(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	var found []string
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		try := *r
		try.Method = method
		if _, pattern := mux.Handler(&try); routes[pattern] != (route{}) {
			found = append(found, method)
		}
	}
	if found != nil {
		w.Header().Set("Allow", strings.Join(found, ", "))
		fail(w, r, spec.Errorf(CodeMethod, "this path takes %s", strings.Join(found, " and ")))
		return
	}
	fail(w, r, spec.Errorf(spec.CodeNotFound, "there is nothing at this path"))
}

// bodyTypes are the media types that the routes with a body take.
var bodyTypes = map[int64][]string{
	fileBody:   {"application/json", "application/octet-stream", "multipart/form-data"},
	streamBody: {"application/x-ndjson"},
	rowsBody:   {"application/octet-stream"},
	largeBody:  {"application/json"},
	smallBody:  {"application/json"},
}

// bound checks what kind of body comes and limits it before any of it is read.
func bound(w http.ResponseWriter, r *http.Request, route route, maxFile int64) error {
	limit := route.maxBody
	if limit == noBody {
		r.Body = http.MaxBytesReader(w, r.Body, 0)
		return nil
	}
	kind := r.Header.Get("Content-Type")
	if !slices.Contains(bodyTypes[limit], kind) {
		var params map[string]string
		var err error
		if kind, params, err = mime.ParseMediaType(kind); err != nil || !slices.Contains(bodyTypes[limit], kind) {
			return spec.Errorf(spec.CodeUnsupported, "the Content-Type of this route is %s", strings.Join(bodyTypes[limit], " or "))
		}
		r.Header.Set("Content-Type", mime.FormatMediaType(kind, params)) // in the case that the routes look for
	}
	switch {
	case limit == streamBody:
		return nil
	case limit == rowsBody:
		return boundRows(w, r)
	case limit == fileBody && kind == "application/json":
		limit = largeBody
	case limit == fileBody && kind == "multipart/form-data":
		limit = maxFile + smallBody // headers and boundaries
	case limit == fileBody:
		limit = maxFile
	}
	if r.ContentLength > limit {
		return spec.Errorf(spec.CodeTooLarge, "the body has %d bytes, this route takes %d", r.ContentLength, limit)
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if route.maxBody == fileBody && (r.ContentLength < 0 || r.ContentLength > smallBody) {
		r.Body = &steadyBody{r.Body, newPace(r.Context(), http.NewResponseController(w), 0)}
	}
	return nil
}

// A steadyBody gives a large file all the time that it takes, as long as its
// bytes keep coming.
type steadyBody struct {
	io.ReadCloser
	pace *pace
}

func (b *steadyBody) Read(p []byte) (int, error) {
	b.pace.on(readTimeout, writeTimeout)
	return b.ReadCloser.Read(p)
}
