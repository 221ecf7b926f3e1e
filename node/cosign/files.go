// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// LogProtocol is where a node serves the files of the log to enrolled peers: the
// same bytes as over HTTP, and proofs.
const LogProtocol = "/tocsin/log/1"

// Files is the final log as static files in the layout of C2SP tlog-tiles:
// checkpoint, tile/<level>/<index> and tile/entries/<index>. Leaves are blinded:
// no opening is ever in it.
type Files struct {
	Log   Log
	Final *Keeper
	// Witnessed adds the cosignatures of witnesses to a note; or nil.
	Witnessed func(note []byte) []byte
	Chain     *tlog.Chain
	Evidence  *Archive // of forks and equivocations; or nil
}

// Get returns the file at path, or NOT_FOUND. Beside the files of the layout it
// knows consistency/<old>/<size>, the hashes of the proof one after the other, and
// handoff/<number>, the link by which a panel took over; and evidence, the ids of the
// evidence that is kept, a line each, with evidence/<id>.
func (f *Files) Get(path string) ([]byte, error) {
	final := f.Final.Newest()
	final.Size = min(final.Size, f.Log.Size())
	if path == "checkpoint" {
		if len(final.Note) == 0 {
			return nil, spec.Errorf(spec.CodeNotFound, "nothing is final yet")
		}
		if f.Witnessed != nil {
			return f.Witnessed(final.Note), nil
		}
		return final.Note, nil
	}
	if rest, ok := strings.CutPrefix(path, "consistency/"); ok {
		return f.consistency(rest, final.Size)
	}
	if rest, ok := strings.CutPrefix(path, handOffs); ok {
		return f.link(rest)
	}
	if rest, ok := strings.CutPrefix(path, evidencePath); ok {
		return f.evidence(rest)
	}
	t, err := tlog.ParseTilePath(path)
	if err != nil {
		return nil, err
	}
	if !t.In(final.Size) {
		return nil, spec.Errorf(spec.CodeNotFound, "the final log of %d leaves has no such tile", final.Size)
	}
	if t.Level == tlog.EntriesLevel {
		return f.bundle(t)
	}
	return t.Data(f.Log)
}

func (f *Files) bundle(t tlog.Tile) ([]byte, error) {
	var leaves [][]byte
	for len(leaves) < t.Width {
		more, err := f.Log.Leaves(t.Index*tlog.TileWidth+uint64(len(leaves)), 64<<10)
		if err != nil {
			return nil, err
		}
		if len(more) == 0 {
			return nil, spec.Errorf(spec.CodeCorrupt, "a leaf of the final log is missing")
		}
		leaves = append(leaves, more...)
	}
	return tlog.Bundle(leaves[:t.Width]), nil
}

// link is how a panel took over.
func (f *Files) link(name string) ([]byte, error) {
	number, err := strconv.ParseUint(name, 10, 32)
	if err != nil || HandOffPath(number) != handOffs+name {
		return nil, spec.Errorf(spec.CodeMalformed, "not the number of a panel")
	}
	l, ok := f.Chain.Link(number)
	if !ok {
		return nil, spec.Errorf(spec.CodeNotFound, "how panel %d took over is not known here", number)
	}
	return l.Encode()
}

const evidencePath = "evidence"

// EvidencePath is the path of a piece of evidence, or for "" of the list of all.
func EvidencePath(id string) string { return strings.TrimSuffix(evidencePath+"/"+id, "/") }

func (f *Files) evidence(rest string) ([]byte, error) {
	id, one := strings.CutPrefix(rest, "/")
	if rest != "" && !one || f.Evidence == nil {
		return nil, spec.Errorf(spec.CodeNotFound, "no evidence is kept here")
	}
	if one {
		p, err := f.Evidence.Get(id)
		if err != nil {
			return nil, err
		}
		return p.Bytes, nil
	}
	kept, err := f.Evidence.List()
	var out []byte
	for _, p := range kept {
		out = append(append(out, p.ID()...), '\n')
	}
	return out, err
}

func (f *Files) consistency(path string, final uint64) ([]byte, error) {
	a, b, _ := strings.Cut(path, "/")
	old, err1 := strconv.ParseUint(a, 10, 48)
	size, err2 := strconv.ParseUint(b, 10, 48)
	if err1 != nil || err2 != nil || len(path) > 40 {
		return nil, spec.Errorf(spec.CodeMalformed, "not the path of a proof")
	}
	if size > final {
		return nil, spec.Errorf(spec.CodeNotFound, "the final log has %d leaves", final)
	}
	proof, err := tlog.Consistency(f.Log, old, size)
	return joinHashes(proof), err
}

// ConsistencyPath is the path of a proof.
func ConsistencyPath(old, size uint64) string { return fmt.Sprintf("consistency/%d/%d", old, size) }

func joinHashes(list []spec.Hash) []byte {
	var out []byte
	for _, h := range list {
		out = append(out, h[:]...)
	}
	return out
}

// SplitHashes reads what Get returns for the path of a proof.
func SplitHashes(data []byte) ([]spec.Hash, error) {
	const n = len(spec.Hash{})
	if len(data)%n != 0 || len(data) > n*tlog.MaxProof {
		return nil, spec.Errorf(spec.CodeProof, "not the hashes of a proof")
	}
	var out []spec.Hash
	for ; len(data) > 0; data = data[n:] {
		out = append(out, spec.Hash(data[:n]))
	}
	return out, nil
}

// Handler serves the files to auditors. It is mounted at the log's URL, with what
// stands before the files' own paths stripped. Anyone may read them.
func (f *Files) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "only GET", http.StatusMethodNotAllowed)
			return
		}
		path := strings.TrimPrefix(r.URL.Path, "/")
		b, err := f.Get(path)
		switch spec.CodeOf(err) {
		case spec.CodeNotFound, spec.CodeMalformed:
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		case spec.CodeGone:
			http.Error(w, err.Error(), http.StatusGone)
			return
		case "":
			if err == nil {
				break
			}
			fallthrough
		default:
			http.Error(w, "the log cannot be read", http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		if path == "checkpoint" || path == evidencePath || strings.HasPrefix(path, "consistency/") {
			h.Set("Cache-Control", "no-cache")
		}
		if path == "checkpoint" || path == evidencePath {
			h.Set("Content-Type", "text/plain; charset=utf-8")
		}
		w.Write(b)
	})
}
