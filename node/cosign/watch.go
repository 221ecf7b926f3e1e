// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A Said is what a member cosigned afterwards, its signature verified.
type Said struct {
	Org  string
	Key  spec.PublicKey
	Size uint64
	Statement
}

// A Watch compares what members cosign afterwards with each other and with the final
// log. It remembers the newest of each key, so that one that is ahead of this node's
// log, and one that is told otherwise later, are found out as well.
type Watch struct {
	Chain *tlog.Chain
	Log   Log
	Final *Keeper
	// Lied is told what proves an equivocation as far as the member's own words do: its
	// Org, Key, Size and Statements are set. It must not block.
	Lied func(*Equivocation)

	mu   sync.Mutex
	said map[spec.Seat][]heard
	told map[spec.Seat]int
}

// heard is what was said, and whether it was found to be the final log's.
type heard struct {
	Said
	same bool
}

// maxSaid bounds what is remembered of one key, maxKeys of how many.
const (
	maxSaid = 256
	maxKeys = 1024
)

// Hear takes what a member said, verified.
func (w *Watch) Hear(s Said) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.said == nil {
		w.said, w.told = map[spec.Seat][]heard{}, map[spec.Seat]int{}
	}
	seat := spec.Seat{Org: s.Org, Key: s.Key}
	said := w.said[seat]
	for i := range said {
		if said[i].Size != s.Size {
			continue
		}
		if said[i].Root != s.Root {
			w.tell(seat, twoRoots(said[i].Said, s))
		}
		return
	}
	h := heard{Said: s}
	if said == nil && len(w.said) >= maxKeys || w.lie(&h) {
		return
	}
	w.said[seat] = append(said[max(0, len(said)+1-maxSaid):], h)
}

// Run compares what was said ahead of the final log once that gets there, until ctx
// ends.
func (w *Watch) Run(ctx context.Context) {
	for {
		changed := w.Final.Changed()
		w.compare()
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

func (w *Watch) compare() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for seat, said := range w.said {
		kept := said[:0]
		for i := range said {
			if !w.lie(&said[i]) {
				kept = append(kept, said[i])
			}
		}
		w.said[seat] = kept
	}
}

// lie reports whether the final log reaches a size and has another root there, and
// tells of it. What it cannot tell, of sizes before the snapshot that this node began
// with, others can. Caller holds mu.
func (w *Watch) lie(h *heard) bool {
	if h.same || h.Size > min(w.Final.Newest().Size, w.Log.Size()) || w.Chain.Discards(h.Size) {
		return false
	}
	root, err := tlog.Root(w.Log, h.Size)
	if err != nil {
		return false
	}
	if h.same = root == h.Root; !h.same {
		w.tell(spec.Seat{Org: h.Org, Key: h.Key}, &Equivocation{Version: EquivocationVersion, Org: h.Org, Key: h.Key, Size: h.Size, Statements: []Statement{h.Statement}})
	}
	return !h.same
}

// tell tells of a lie, unless of enough by this key.
func (w *Watch) tell(seat spec.Seat, e *Equivocation) {
	if w.told[seat] < maxAgainst {
		w.told[seat]++
		w.Lied(e)
	}
}

func twoRoots(a, b Said) *Equivocation {
	e := &Equivocation{Version: EquivocationVersion, Org: a.Org, Key: a.Key, Size: a.Size, Statements: []Statement{a.Statement, b.Statement}}
	slices.SortFunc(e.Statements, func(a, b Statement) int { return bytes.Compare(a.Root[:], b.Root[:]) })
	return e
}
