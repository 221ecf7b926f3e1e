// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
)

// CodeMethod is the code of a method that a path does not have.
const CodeMethod spec.Code = "METHOD_NOT_ALLOWED"

// statuses maps every code to its HTTP status.
var statuses = map[spec.Code]int{
	spec.CodeMalformed:  http.StatusBadRequest,
	spec.CodeVersion:    http.StatusBadRequest,
	spec.CodeKind:       http.StatusBadRequest,
	spec.CodeSignal:     http.StatusBadRequest,
	spec.CodeSignalType: http.StatusBadRequest,
	spec.CodeDuplicate:  http.StatusBadRequest,
	spec.CodeLabel:      http.StatusBadRequest,
	spec.CodeReason:     http.StatusBadRequest,
	spec.CodeCard:       http.StatusBadRequest,
	spec.CodePossession: http.StatusBadRequest,
	spec.CodeWeakKey:    http.StatusBadRequest,
	spec.CodeGenesis:    http.StatusBadRequest,
	spec.CodeInvitation: http.StatusBadRequest,
	spec.CodeReferral:   http.StatusBadRequest,
	spec.CodePolicy:     http.StatusBadRequest,
	spec.CodeIndex:      http.StatusBadRequest,
	spec.CodeUsage:      http.StatusBadRequest,
	spec.CodeCheckpoint: http.StatusBadRequest,
	spec.CodeProof:      http.StatusBadRequest,
	spec.CodeReceipt:    http.StatusBadRequest,

	spec.CodeDenied:     http.StatusForbidden,
	spec.CodeRole:       http.StatusForbidden,
	spec.CodeElectorate: http.StatusForbidden,
	spec.CodeNotOpener:  http.StatusForbidden,
	spec.CodeBarred:     http.StatusForbidden,

	spec.CodeNotFound:   http.StatusNotFound,
	spec.CodeCase:       http.StatusNotFound,
	spec.CodeEntry:      http.StatusNotFound,
	spec.CodeConsortium: http.StatusNotFound,
	CodeMethod:          http.StatusMethodNotAllowed,

	spec.CodeSignature:  http.StatusConflict,
	spec.CodeOrg:        http.StatusConflict,
	spec.CodeKey:        http.StatusConflict,
	spec.CodeEpoch:      http.StatusConflict,
	spec.CodeReplayed:   http.StatusConflict,
	spec.CodeOpening:    http.StatusConflict,
	spec.CodeMismatch:   http.StatusConflict,
	spec.CodeCaseClosed: http.StatusConflict,
	spec.CodeEntryState: http.StatusConflict,
	spec.CodeDisputed:   http.StatusConflict,
	spec.CodeEnrolled:   http.StatusConflict,
	spec.CodeFollowed:   http.StatusConflict,
	spec.CodePending:    http.StatusConflict,
	spec.CodeRevoked:    http.StatusConflict,
	spec.CodeSeconded:   http.StatusConflict,
	spec.CodeOutdated:   http.StatusConflict,
	spec.CodeNotEnabled: http.StatusConflict,
	spec.CodeNotFinal:   http.StatusConflict,
	spec.CodeRecovery:   http.StatusConflict,

	spec.CodeGone:        http.StatusGone,
	spec.CodeTooLarge:    http.StatusRequestEntityTooLarge,
	spec.CodeUnsupported: http.StatusUnsupportedMediaType,
	spec.CodeTier:        http.StatusUnprocessableEntity,
	extract.CodeDecoder:  http.StatusUnprocessableEntity,
	extract.CodeTimeout:  http.StatusUnprocessableEntity,

	spec.CodeQuota: http.StatusTooManyRequests,

	spec.CodeBusy:        http.StatusServiceUnavailable,
	spec.CodeNotLeader:   http.StatusServiceUnavailable,
	spec.CodeUnavailable: http.StatusServiceUnavailable,
	spec.CodeNotReady:    http.StatusServiceUnavailable,
	spec.CodeNoTime:      http.StatusServiceUnavailable,
	spec.CodeStale:       http.StatusServiceUnavailable,
	spec.CodeUnknown:     http.StatusGatewayTimeout,

	spec.CodeForked:   http.StatusInternalServerError,
	spec.CodeReplica:  http.StatusInternalServerError,
	spec.CodeCorrupt:  http.StatusInternalServerError,
	spec.CodeConfig:   http.StatusInternalServerError,
	spec.CodeInternal: http.StatusInternalServerError,
}

// problemBase is where the types of problems are explained.
const problemBase = "https://github.com/tocsin-db/tocsin/blob/main/spec/errors.md#"

// An uncheckedError carries the answer about a file that could not be looked up.
type uncheckedError struct{ answer wire.MatchAnswer }

func (*uncheckedError) Error() string {
	return "the file is of a kind that cannot be looked up; its exact hashes match nothing"
}

// problemOf turns an error into what the caller is told. Errors without a code
// are faults of the node, whose text stays inside.
func problemOf(err error) wire.Problem {
	p := wire.Problem{Code: string(spec.CodeOf(err)), Detail: err.Error()}
	var tooLarge *http.MaxBytesError
	var unchecked *uncheckedError
	var field *wire.FieldError
	switch {
	case errors.As(err, &unchecked):
		p.Code, p.Answer = string(spec.CodeUnsupported), unchecked.answer
	case errors.As(err, &tooLarge):
		p.Code, p.Detail = string(spec.CodeTooLarge), "the body is larger than this route takes"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, io.ErrUnexpectedEOF):
		p.Code, p.Detail = string(spec.CodeMalformed), "the body did not arrive"
	case p.Code == "":
		p.Code = string(spec.CodeInternal)
	}
	if errors.As(err, &field) {
		p.Pointer = field.Pointer
	}
	var known bool
	if p.Status, known = statuses[spec.Code(p.Code)]; !known {
		p.Code, p.Status = string(spec.CodeInternal), http.StatusInternalServerError
	}
	if p.Code == string(spec.CodeInternal) {
		p.Detail = "the node failed; its log says why"
	}
	p.Title = strings.ReplaceAll(strings.ToLower(p.Code), "_", " ")
	p.Type = problemBase + strings.ToLower(p.Code)
	return p
}

// fail answers with a problem.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(r.Context().Err(), context.Canceled) {
		// The caller is gone, or was too slow: to return would answer 200.
		panic(http.ErrAbortHandler)
	}
	p := problemOf(err)
	p.RequestID = w.Header().Get(requestIDHeader)
	if p.Status >= http.StatusInternalServerError && p.Status != http.StatusServiceUnavailable {
		loggerOf(r.Context()).LogAttrs(r.Context(), slog.LevelError, "request failed",
			slog.String("request", p.RequestID), slog.String("route", r.Pattern), slog.String("code", p.Code), slog.Any("error", err))
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the caller is gone when this fails
}

// failRequest answers for a body that could not be decoded.
func failRequest(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	if spec.CodeOf(err) == "" && !errors.As(err, &tooLarge) && !errors.Is(err, os.ErrDeadlineExceeded) {
		err = spec.Errorf(spec.CodeMalformed, "the body is not the JSON object or the form that is expected")
	}
	fail(w, r, err)
}

// failParameter answers for a parameter of the URL. It names the parameter and
// does not repeat its value.
func failParameter(w http.ResponseWriter, r *http.Request, err error) {
	var format *wire.InvalidParamFormatError
	if errors.As(err, &format) {
		fail(w, r, spec.Errorf(spec.CodeMalformed, "the parameter %q has a value that it does not take", format.ParamName))
		return
	}
	fail(w, r, spec.Errorf(spec.CodeMalformed, "a parameter has a value that it does not take"))
}
