// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/tocsin-db/tocsin/spec"
)

// Recoveries is what members do when too few of their sequencers are left. The file
// that they pass on among them is one line and holds nothing secret.
type Recoveries interface {
	// DraftRecovery makes the file of a recovery from the newest final checkpoint that
	// this node knows, with these sequencers. A seat without a key has the one in force.
	DraftRecovery(ctx context.Context, seats []spec.Seat) ([]byte, error)
	// SignRecovery adds this organisation's signature. From then on the node does not
	// cosign until it starts again.
	SignRecovery(ctx context.Context, file []byte) ([]byte, error)
	// ReviewRecovery says what a recovery would do, and changes nothing.
	ReviewRecovery(ctx context.Context, file []byte) (*RecoveryReview, error)
}

// A RecoveryReview is what a recovery would do, seen from one node. Its checkpoint is
// proved from the genesis document. Members, Required and whose signature is good are
// of the state that the node has; at the checkpoint it may differ.
type RecoveryReview struct {
	Size       uint64         `json:"size"`  // leaves of the final log that is gone on from
	Root       string         `json:"root"`  // of that log
	Epoch      uint64         `json:"epoch"` // that begins
	Sequencers []RecoverySeat `json:"sequencers"`
	Signed     []string       `json:"signed"`
	Bad        []string       `json:"bad_signatures"` // of those who signed: with no key in force
	Known      bool           `json:"known"`          // the node has a state; else the rest is 0
	Members    int            `json:"members"`
	Required   int            `json:"required"`   // signatures
	Missing    int            `json:"missing"`    // of them
	Log        uint64         `json:"log"`        // leaves of this node's log
	Discarded  uint64         `json:"discarded"`  // leaves of it that would be
	Operations []string       `json:"operations"` // among them
	Refused    string         `json:"refused"`    // why this node would not sign or apply it; empty: it would
}

// A RecoverySeat names a sequencer and the key with which it cosigns.
type RecoverySeat struct {
	Organisation string `json:"organisation"`
	CosignKey    []byte `json:"cosign_key,omitempty"`
}

// draftRequest asks for a recovery; one without a key has that in force.
type draftRequest struct {
	Sequencers []RecoverySeat `json:"sequencers"`
}

type recoveryRequest struct {
	File string `json:"file"`
}

func mountRecoveries(mux *http.ServeMux, n Recoveries) {
	mux.HandleFunc("POST /v1/recoveries", func(w http.ResponseWriter, r *http.Request) {
		var q draftRequest
		if !readBody(w, r, &q) {
			return
		}
		var seats []spec.Seat
		for _, s := range q.Sequencers {
			seat := spec.Seat{Org: s.Organisation}
			if copy(seat.Key[:], s.CosignKey) != len(s.CosignKey) || len(s.CosignKey) != 0 && len(s.CosignKey) != len(seat.Key) {
				fail(w, r, spec.Errorf(spec.CodeMalformed, "a cosign key has %d bytes", len(seat.Key)))
				return
			}
			seats = append(seats, seat)
		}
		b, err := n.DraftRecovery(r.Context(), seats)
		answerLine(w, r, b, err)
	})
	mux.HandleFunc("POST /v1/recoveries:sign", func(w http.ResponseWriter, r *http.Request) {
		var q recoveryRequest
		if readBody(w, r, &q) {
			b, err := n.SignRecovery(r.Context(), []byte(q.File))
			answerLine(w, r, b, err)
		}
	})
	mux.HandleFunc("POST /v1/recoveries:review", func(w http.ResponseWriter, r *http.Request) {
		var q recoveryRequest
		if !readBody(w, r, &q) {
			return
		}
		review, err := n.ReviewRecovery(r.Context(), []byte(q.File))
		var b []byte
		if err == nil {
			b, err = json.Marshal(review)
		}
		if err != nil {
			fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(b)
	})
}

func readBody(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err != nil {
		failRequest(w, r, err)
	}
	return err == nil
}

func answerLine(w http.ResponseWriter, r *http.Request, line []byte, err error) {
	if err != nil {
		fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write(line)
}
