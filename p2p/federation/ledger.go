// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"fmt"
	"time"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A Panel says what is final, as the node's state knows who decides that. A
// *tlog.Panel is one.
type Panel interface {
	// OpenFinal reads a signed note. It fails with BAD_CHECKPOINT or NOT_FINAL.
	OpenFinal(note []byte) (*tlog.Signed, error)
	// Time is the k-th newest cosign time, in Unix seconds.
	Time(s *tlog.Signed) uint64
	// Number is that of the newest panel that is known. With the next one another
	// may be the panel of a checkpoint that was read before.
	Number() uint64
}

// A Replica is the state that a reader keeps: the log, replayed by the rules.
type Replica interface {
	tlog.Hashes
	// Size is the number of leaves that can be seen.
	Size() uint64
	// Append replays groups that follow each other from Size on, calls ready, and
	// commits all in one batch if that agrees; otherwise nothing changes. An error
	// with a spec.Code is the sender's fault, any other, and that of ready, our own.
	Append(groups []Group, ready func() error) error
	// Check compares the log and the state with the StateRoot at the end of the log
	// and with s, which is of its size. It fails with CORRUPT.
	Check(s *tlog.Signed) error
}

// A Mark is what a reader must never go behind (spec/sync.md).
type Mark struct {
	Note  []byte    // of the largest final checkpoint that was accepted; empty: none
	Size  uint64    // of it
	Root  spec.Hash // of it
	Shown uint64    // largest size that was shown
	Fork  *Fork     // why the reader halted, or nil
}

// Marks keep a Mark over restarts, in a place of their own.
type Marks interface {
	Mark() Mark
	// Raise replaces the mark, durably on return. It fails when that would lower it.
	Raise(Mark) error
}

// A Fork proves that two histories were cosigned: the other one has another root
// than Root at its size, and the final one had Root there.
type Fork struct {
	_     struct{} `cbor:",toarray"`
	Other []byte   // signed note
	Final []byte   // signed note, of the same size or a larger one
	Root  spec.Hash
	Proof []spec.Hash // RFC 6962 consistency from the size of Other to that of Final
}

// A ledger is a replica with the right edge of its log and the mark.
type ledger struct {
	replica Replica
	panel   Panel
	marks   Marks
	edge    tlog.Edge
	reach   func(*Final) // told just before the log of a final checkpoint is shown to its end
}

// anchor reads where the replica stands and compares it with the mark.
func (l *ledger) anchor() error {
	size := l.replica.Size()
	l.edge = tlog.Edge{Size: size}
	for _, p := range tlog.EdgePlaces(size) {
		h, err := l.replica.LogHash(p.Level, p.Index)
		if err != nil {
			return fmt.Errorf("reading the edge of the log: %w", err)
		}
		l.edge.Hashes = append(l.edge.Hashes, h)
	}
	m := l.marks.Mark()
	if m.Size == 0 || m.Size > size {
		return nil
	}
	root, err := tlog.Root(l.replica, m.Size)
	if notHeld(err) {
		return nil // before the snapshot that the log begins with
	}
	if err == nil && root != m.Root {
		err = spec.Errorf(spec.CodeCorrupt, "the log in the data directory is not the one that was final at size %d", m.Size)
	}
	return err
}

// A Final is a checkpoint that the panel makes final.
type Final struct {
	*tlog.Signed
	Note []byte
	Time time.Time // the k-th newest cosign time
	// Under is the number of the newest panel that was known when it was read.
	Under uint64
}

// open verifies a note. Errors are the sender's fault.
func (l *ledger) open(note []byte) (*Final, error) {
	under := l.panel.Number()
	s, err := l.panel.OpenFinal(note)
	if err != nil {
		return nil, blame(err)
	}
	return &Final{Signed: s, Note: note, Under: under, Time: time.Unix(int64(min(l.panel.Time(s), maxUnix)), 0)}, nil
}

// maxUnix keeps a claimed time within what time.Time can show.
const maxUnix = 1 << 40

// append proves groups to be the beginning of the log of final and commits them.
// Groups that are there already are skipped; fresh is false when all were. Errors
// are sorted as those of blame.
func (l *ledger) append(groups []Group, proof []spec.Hash, final *Final) (fresh bool, err error) {
	edge := l.edge.Clone()
	for len(groups) > 0 && groups[0].Next() <= edge.Size {
		groups = groups[1:]
	}
	if len(groups) == 0 {
		return false, nil
	}
	for i := range groups {
		if groups[i].First != edge.Size {
			return false, offence("a group begins at %d where the log ends at %d", groups[i].First, edge.Size)
		}
		for _, leaf := range groups[i].Leaves {
			edge.Append(spec.LeafHash(leaf), func(int, uint64, spec.Hash) {})
		}
	}
	if tlog.CheckConsistency(proof, edge.Size, edge.Root(), final.Size, final.Root) != nil {
		return false, blame(spec.Errorf(spec.CodeProof, "what was sent up to %d is not the log that is final at size %d", edge.Size, final.Size))
	}
	ready := func() error {
		err := l.raise(final, edge.Size)
		if err == nil && final.Size == edge.Size {
			l.reach(final)
		}
		return err
	}
	if err := l.replica.Append(groups, ready); err != nil {
		return false, blame(err)
	}
	if size := l.replica.Size(); size != edge.Size {
		return false, &localError{fmt.Errorf("the replica has %d leaves after groups that end at %d", size, edge.Size)}
	}
	l.edge = edge
	return true, nil
}

// raise makes the mark durable before anything that rests on it can be seen. A
// checkpoint that is not final under the panels that took over in what it covers is
// the sender's fault; other errors are our own, whatever their code.
func (l *ledger) raise(final *Final, shown uint64) error {
	if l.panel.Number() != final.Under {
		if _, err := l.panel.OpenFinal(final.Note); err != nil {
			return blame(err)
		}
	}
	m := l.marks.Mark()
	if final.Size > m.Size {
		m.Note, m.Size, m.Root = final.Note, final.Size, final.Root
	}
	m.Shown = max(m.Shown, shown)
	if err := l.marks.Raise(m); err != nil {
		return &localError{fmt.Errorf("keeping the mark: %w", err)}
	}
	return nil
}

// compare holds a final checkpoint against the mark and the log. known is false
// while the log does not reach far enough to tell.
func (l *ledger) compare(f *Final) (fork *Fork, known bool, err error) {
	m := l.marks.Mark()
	if f.Size == m.Size {
		if f.Root == m.Root {
			return nil, true, nil
		}
		return &Fork{Other: f.Note, Final: m.Note, Root: m.Root}, true, nil
	}
	if f.Size > l.edge.Size {
		return nil, false, nil
	}
	root, err := tlog.Root(l.replica, f.Size)
	switch {
	case notHeld(err):
		return nil, true, nil // before the snapshot that the log begins with
	case err != nil:
		return nil, false, &localError{err}
	case root == f.Root:
		return nil, true, nil
	case m.Size > l.edge.Size:
		return nil, false, nil // differs, which the log will prove once it reaches the mark
	}
	fork = &Fork{Other: f.Note, Final: m.Note, Root: root}
	if fork.Proof, err = tlog.Consistency(l.replica, f.Size, m.Size); err != nil {
		return nil, false, &localError{err}
	}
	return fork, true, nil
}

// notHeld says that a hash lies before the snapshot that the log begins with.
func notHeld(err error) bool {
	code := spec.CodeOf(err)
	return code == spec.CodeNotFound || code == spec.CodeGone
}
