// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/tocsin-db/tocsin/spec"
)

// Proofs is what a node can prove of the shared log. Its routes carry bytes that
// prove themselves rather than JSON, beside those of the specification.
type Proofs interface {
	// Receipt returns the receipt of an entry, which opens signal unless it is nil.
	Receipt(ctx context.Context, entry spec.Hash, signal *spec.Signal) ([]byte, error)
	// AbsenceReceipt returns the proof that no entry lists a signal.
	AbsenceReceipt(ctx context.Context, signal spec.Signal) ([]byte, error)
	// LogHandler serves the files of the final log below its path.
	LogHandler() http.Handler
	// Purge makes the bytes of erased values disappear from the node's files.
	Purge(ctx context.Context) error
	Recoveries
}

// receiptRequest asks for a receipt: of an entry, opening a signal or none; or,
// without an entry, that a signal is not listed.
type receiptRequest struct {
	Entry string `json:"entry,omitempty"`
	Type  string `json:"type,omitempty"`
	Value string `json:"value,omitempty"`
}

// proofRoutes is who may call what of them.
var proofRoutes = map[string]route{
	"GET /log/":         {socketDoor | tcpDoor, noBody},
	"POST /v1/receipts": {socketDoor, smallBody},
	"POST /v1/purge":    {socketDoor, smallBody},

	"POST /v1/recoveries":        {socketDoor, smallBody},
	"POST /v1/recoveries:sign":   {socketDoor, largeBody},
	"POST /v1/recoveries:review": {socketDoor, largeBody},

	metricsRoute: {socketDoor | tcpDoor, noBody}, // as health is
}

// mountProofs adds the routes of what a node can prove.
func mountProofs(mux *http.ServeMux, p Proofs) {
	if p == nil {
		return
	}
	mountMetrics(mux, p)
	mountRecoveries(mux, p)
	mux.Handle("GET /log/", http.StripPrefix("/log/", p.LogHandler()))
	mux.HandleFunc("POST /v1/receipts", func(w http.ResponseWriter, r *http.Request) {
		b, err := receiptOf(r, p)
		if err != nil {
			fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/cbor")
		w.Write(b)
	})
	mux.HandleFunc("POST /v1/purge", func(w http.ResponseWriter, r *http.Request) {
		if err := p.Purge(r.Context()); err != nil {
			fail(w, r, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

func receiptOf(r *http.Request, p Proofs) ([]byte, error) {
	var q receiptRequest
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return nil, spec.Errorf(spec.CodeMalformed, "the body is not a request for a receipt")
	}
	var signal *spec.Signal
	if q.Type != "" || q.Value != "" {
		s, err := spec.ParseSignal(q.Type, q.Value)
		if err != nil {
			return nil, err
		}
		signal = &s
	}
	switch {
	case q.Entry == "" && signal == nil:
		return nil, spec.Errorf(spec.CodeMalformed, "a receipt is of an entry, or of a signal that is not listed")
	case q.Entry == "":
		return p.AbsenceReceipt(r.Context(), *signal)
	}
	entry, err := spec.ParseHash(q.Entry)
	if err != nil {
		return nil, err
	}
	return p.Receipt(r.Context(), entry, signal)
}
