// SPDX-License-Identifier: Apache-2.0

// Package witness cosigns the checkpoints of logs that this node takes no part in,
// for whoever asks (C2SP tlog-witness), and collects the cosignatures of outside
// witnesses on the final checkpoints of its own log.
package witness

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	formats "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// Config is what a Witness needs.
type Config struct {
	Dir    string   // where its key and what it cosigned are kept
	Name   string   // under which it cosigns, such as witness.example.org
	Logs   []string // verifier keys of the logs that it cosigns; a key's name is the log's origin
	Now    func() time.Time
	Logger *slog.Logger
}

// A Witness cosigns growing logs.
type Witness struct {
	cfg   Config
	state *state
	logs  map[string][]note.Verifier // by origin
	vkey  string
	hash  uint32
}

// Open opens the witness in cfg.Dir. Its key is made at the first start.
func Open(cfg Config) (*Witness, error) {
	w := &Witness{cfg: cfg, logs: map[string][]note.Verifier{}}
	for _, k := range cfg.Logs {
		v, err := note.NewVerifier(k)
		if err != nil {
			return nil, spec.Errorf(spec.CodeConfig, "%q is no verifier key of a log", k)
		}
		w.logs[v.Name()] = append(w.logs[v.Name()], v)
	}
	var err error
	if w.state, err = openState(cfg.Dir); err != nil {
		return nil, err
	}
	if w.vkey, w.hash, err = verifierKey(cfg.Name, w.state.key.Public().(ed25519.PublicKey)); err != nil {
		return nil, errors.Join(err, w.state.close())
	}
	return w, nil
}

// VerifierKey is the witness's public key as stock tools take it.
func (w *Witness) VerifierKey() string { return w.vkey }

// Close ends it.
func (w *Witness) Close() error { return w.state.close() }

// Reasons for which a checkpoint is not cosigned, by what they are answered with.
var (
	errMalformed = errors.New("the request is not one")
	errTooOld    = errors.New("the old size is above the checkpoint's")
	errOrigin    = errors.New("the log is not known here")
	errKey       = errors.New("no key of the log signed the checkpoint")
	errProof     = errors.New("the proof does not show that the log only grew")
	errRoot      = errors.New("another root was cosigned at this size")
)

// A sizeError says that the old size is not the one that was cosigned last.
type sizeError uint64

func (e sizeError) Error() string { return fmt.Sprintf("the newest cosigned size is %d", uint64(e)) }

// Add cosigns a checkpoint that is proved to continue the one of size old, which
// must be the newest of its log that was cosigned here. The state is durable when
// the signature's line is returned.
func (w *Witness) Add(old uint64, proof []spec.Hash, signed []byte) (line []byte, err error) {
	origin, _, _ := strings.Cut(string(signed), "\n")
	keys := w.logs[origin]
	if keys == nil {
		return nil, errOrigin
	}
	n, err := note.Open(signed, note.VerifierList(keys...))
	var unverified *note.UnverifiedNoteError
	var wrong *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified), errors.As(err, &wrong):
		return nil, errKey
	case err != nil:
		return nil, errMalformed
	}
	var c formats.Checkpoint
	if _, err := c.Unmarshal([]byte(n.Text)); err != nil || c.Origin != origin || len(c.Hash) != len(spec.Hash{}) || c.Size > tlog.MaxSize {
		return nil, errMalformed
	}
	if old > c.Size {
		return nil, errTooOld
	}
	seen := entry{Size: c.Size, Root: spec.Hash(c.Hash), Note: signed}
	err = w.state.replace(origin, func(last entry) (entry, error) { return seen, continues(last, old, proof, seen) })
	if errors.Is(err, errRoot) {
		w.cfg.Logger.Error("ALARM: a log signed two histories", "origin", origin, "size", c.Size)
		if err := w.state.keepFork(origin, signed); err != nil {
			w.cfg.Logger.Error("keeping the proof of a fork", "error", err)
		}
	}
	if err != nil {
		return nil, err
	}
	unix := uint64(w.cfg.Now().Unix())
	sig := ed25519.Sign(w.state.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", unix, n.Text))
	return Line(w.cfg.Name, w.hash, unix, sig), nil
}

// continues checks that next continues what was cosigned last.
func continues(last entry, old uint64, proof []spec.Hash, next entry) error {
	switch {
	case old != last.Size:
		return sizeError(last.Size)
	case old == next.Size && last.Root != next.Root:
		return errRoot
	case tlog.CheckConsistency(proof, old, last.Root, next.Size, next.Root) != nil:
		return errProof
	}
	return nil
}

// Line is a cosignature as a signed note carries it.
func Line(name string, hash uint32, unix uint64, sig []byte) []byte {
	raw := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, hash), unix)
	return fmt.Appendf(nil, "— %s %s\n", name, base64.StdEncoding.EncodeToString(append(raw, sig...)))
}
