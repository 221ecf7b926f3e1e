// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// AlarmProtocol is where evidence travels.
const AlarmProtocol = "/tocsin/alarm/1"

// MaxProof bounds evidence of any kind in bytes.
const MaxProof = MaxEquivocation

// maxAgainst bounds how many pieces of evidence are kept against one organisation:
// that it is accused does not change by more, and none crowds out what is kept
// against another.
const maxAgainst = 10

// A Proved is what a piece of evidence shows.
type Proved struct {
	Bytes   []byte
	Kind    string // Fork or Equivocating
	Accused []string
	Size    uint64    // of the log, at which they cosigned something else
	Other   *Evidence // of a fork; nil for an equivocation
}

// Kinds of evidence.
const (
	Fork         = "fork"         // Evidence
	Equivocating = "equivocation" // Equivocation
)

// ID names evidence by what it is: the first half of the SHA-256 of its bytes, in
// hexadecimal digits.
func (p *Proved) ID() string {
	sum := sha256.Sum256(p.Bytes)
	return hex.EncodeToString(sum[:8])
}

// Judge reads and verifies evidence of either kind with the panels that chain knows. An
// equivocation brings what it takes to verify it from the genesis document alone, which
// shows as much as it says of how panels took over.
func Judge(data []byte, g *spec.Genesis, chain *tlog.Chain) (*Proved, error) {
	p := &Proved{Bytes: data}
	if len(data) > 0 && data[0] == arrayOf11 {
		e, err := ParseEquivocation(data)
		if err != nil {
			return nil, err
		}
		p.Kind, p.Accused, p.Size = Equivocating, []string{e.Org}, e.Size
		if err = e.Verify(g); err == nil && len(e.Note) > 0 && chain.Number() > uint64(len(e.Links)) {
			// Its links may end before a panel that this chain knows, and with it a
			// recovery that discarded what the note calls final.
			_, err = chain.OpenFinal(e.Note)
		}
		if err == nil && len(e.Statements) == 1 && chain.Discards(e.Size) {
			err = errNoEquivocation
		}
		return p, err
	}
	e, err := ParseEvidence(data)
	if err != nil {
		return nil, err
	}
	p.Kind, p.Other = Fork, e
	p.Accused, p.Size, err = e.Verify(chain)
	return p, err
}

// arrayOf11 begins an Equivocation; an Evidence is an array of four.
const arrayOf11 = 0x8b

// An Archive keeps evidence as files. Any number of goroutines may use it.
type Archive struct {
	Dir     string
	Genesis *spec.Genesis
	Chain   *tlog.Chain

	keeping sync.Mutex // held while evidence is added
	mu      sync.Mutex
	judged  map[[sha256.Size]byte]verdict // of what is kept, by the SHA-256 of its bytes
}

// A verdict is what was found of evidence while the newest panel was that of a number:
// the chain never changes below it.
type verdict struct {
	panel uint64
	found Proved // without what its bytes say by themselves
	err   error
}

// maxJudged bounds the verdicts that are remembered.
const maxJudged = 1 << 12

// judge is Judge of evidence that is kept: it is listed, and counted, again and again.
func (a *Archive) judge(data []byte) (*Proved, error) {
	sum, panel := sha256.Sum256(data), a.Chain.Number()
	a.mu.Lock()
	v, known := a.judged[sum]
	a.mu.Unlock()
	if !known || v.panel != panel {
		p, err := Judge(data, a.Genesis, a.Chain)
		if v = (verdict{panel: panel, err: err}); p != nil {
			v.found = Proved{Kind: p.Kind, Accused: p.Accused, Size: p.Size}
		}
		a.mu.Lock()
		if a.judged == nil || len(a.judged) >= maxJudged {
			a.judged = map[[sha256.Size]byte]verdict{}
		}
		a.judged[sum] = v
		a.mu.Unlock()
	}
	if v.err != nil {
		return nil, v.err
	}
	p := v.found
	p.Bytes = data
	if p.Kind == Fork {
		var err error
		if p.Other, err = ParseEvidence(data); err != nil {
			return nil, err
		}
	}
	return &p, nil
}

const suffix = ".cbor"

// Keep verifies evidence and keeps it durably. fresh is false when it was there, or
// enough against those whom it accuses.
func (a *Archive) Keep(data []byte) (p *Proved, fresh bool, err error) {
	if p, err = Judge(data, a.Genesis, a.Chain); err != nil {
		return nil, false, err
	}
	a.keeping.Lock()
	defer a.keeping.Unlock()
	if err := os.MkdirAll(a.Dir, 0o700); err != nil {
		return p, false, err
	}
	if _, err := os.Stat(a.Path(p)); err == nil {
		return p, false, nil
	}
	if enough, err := a.enough(p.Accused); err != nil || enough {
		return p, false, err
	}
	if err := durable.Replace(a.Path(p), data, 0o600); err != nil {
		return p, false, fmt.Errorf("keeping evidence: %w", err)
	}
	return p, true, nil
}

// Path is where evidence is kept.
func (a *Archive) Path(p *Proved) string { return filepath.Join(a.Dir, p.ID()+suffix) }

// enough reports whether there is enough evidence that holds against each of them.
func (a *Archive) enough(accused []string) (bool, error) {
	kept, err := a.List()
	against := map[string]int{}
	for _, p := range kept {
		for _, org := range p.Accused {
			against[org]++
		}
	}
	return !slices.ContainsFunc(accused, func(org string) bool { return against[org] < maxAgainst }), err
}

// List returns what is kept and holds, by id.
func (a *Archive) List() (out []*Proved, err error) {
	files, err := os.ReadDir(a.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, f := range files {
		id, ok := strings.CutSuffix(f.Name(), suffix)
		if !ok {
			continue
		}
		if p, err := a.Get(id); err == nil {
			out = append(out, p)
		}
	}
	return out, err
}

// Get returns what is kept under an id, or NOT_FOUND.
func (a *Archive) Get(id string) (*Proved, error) {
	missing := spec.Errorf(spec.CodeNotFound, "no such evidence is kept here")
	if b, err := hex.DecodeString(id); err != nil || len(b) != 8 {
		return nil, missing
	}
	data, err := os.ReadFile(filepath.Join(a.Dir, id+suffix))
	if err != nil {
		return nil, missing
	}
	p, err := a.judge(data)
	if err == nil && p.ID() != id {
		return nil, missing
	}
	return p, err
}
