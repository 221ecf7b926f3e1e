// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// Limits of a request (C2SP tlog-witness).
const (
	maxProofLines = 63
	maxRequest    = tlog.MaxNote + 4<<10
)

// statuses is what a request is refused with.
var statuses = []struct {
	err    error
	status int
}{
	{errMalformed, http.StatusBadRequest},
	{errTooOld, http.StatusBadRequest},
	{errOrigin, http.StatusNotFound},
	{errKey, http.StatusForbidden},
	{errRoot, http.StatusConflict},
	{errProof, http.StatusUnprocessableEntity},
}

// Handler answers POST /add-checkpoint. Anyone may ask: what counts is who signed
// the checkpoint.
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", w.add)
	return mux
}

func (w *Witness) add(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	if err != nil {
		http.Error(rw, "the request is too large or broke off", http.StatusRequestEntityTooLarge)
		return
	}
	old, proof, signed, err := parseRequest(body)
	var line []byte
	if err == nil {
		line, err = w.Add(old, proof, signed)
	}
	var size sizeError
	if errors.As(err, &size) {
		rw.Header().Set("Content-Type", "text/x.tlog.size")
		rw.WriteHeader(http.StatusConflict)
		fmt.Fprintf(rw, "%d\n", uint64(size))
		return
	}
	if err != nil {
		w.refuse(rw, err)
		return
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	rw.Write(line)
}

func (w *Witness) refuse(rw http.ResponseWriter, err error) {
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			http.Error(rw, s.err.Error(), s.status)
			return
		}
	}
	w.cfg.Logger.Error("cosigning a log's checkpoint", "error", err)
	http.Error(rw, "the witness cannot cosign now", http.StatusInternalServerError)
}

// parseRequest reads "old <size>", the lines of the proof, an empty line and the
// note.
func parseRequest(body []byte) (old uint64, proof []spec.Hash, signed []byte, err error) {
	head, rest, found := strings.Cut(string(body), "\n\n")
	lines := strings.SplitN(head, "\n", maxProofLines+2)
	number, named := strings.CutPrefix(lines[0], "old ")
	old, err = strconv.ParseUint(number, 10, 64)
	if !found || !named || err != nil || strconv.FormatUint(old, 10) != number || len(lines) > maxProofLines+1 {
		return 0, nil, nil, errMalformed
	}
	for _, l := range lines[1:] {
		b, err := base64.StdEncoding.Strict().DecodeString(l)
		if err != nil || len(b) != len(spec.Hash{}) {
			return 0, nil, nil, errMalformed
		}
		proof = append(proof, spec.Hash(b))
	}
	return old, proof, []byte(rest), nil
}
