// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"fmt"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage"
)

// A watcher is a ledger that notes the first leaf which differs from the dump's.
type watcher struct {
	*storage.Tx
	want    [][]byte
	n       int
	differs int // -1: none
	derived []byte
}

// Append implements governance.Ledger.
func (w *watcher) Append(leaf []byte) error {
	if w.differs < 0 && (w.n >= len(w.want) || !bytes.Equal(leaf, w.want[w.n])) {
		w.differs, w.derived = w.n, bytes.Clone(leaf)
	}
	w.n++
	return w.Tx.Append(leaf)
}

// explain says which leaf of a group is wrong, and what stands there.
func (w *watcher) explain(g *group, err error) error {
	at := min(w.n, len(g.leaves)-1) // the operation that was refused
	meaning := err.Error()
	if err := unreadable(g); err != nil {
		return err
	}
	if w.differs >= 0 {
		at = min(w.differs, len(g.leaves)-1)
		meaning = compare(w.derived, g.leaves[at])
	}
	return wrong(g, at, describe(g.leaves[at])+": "+meaning, err)
}

// unreadable names the first leaf of a group that cannot be read, if there is one.
func unreadable(g *group) error {
	for i, b := range g.leaves {
		if _, err := spec.ParseLeaf(b); err != nil {
			return wrong(g, i, "a leaf that cannot be read: "+err.Error(), err)
		}
	}
	return nil
}

// unended says what is wrong with leaves at the end that are no whole group.
func unended(g *group) error {
	if err := unreadable(g); err != nil {
		return err
	}
	err := spec.Errorf(spec.CodeReplica, "a group of leaves ends with the root of the state")
	return wrong(g, len(g.leaves)-1, "the dump ends within a group of leaves, where the root of the state is due", err)
}

func wrong(g *group, i int, meaning string, err error) error {
	return &WrongError{Leaf: g.first + uint64(i), Offset: g.offsets[i], Meaning: meaning, Err: err}
}

// describe names a leaf in words.
func describe(b []byte) string {
	l, err := spec.ParseLeaf(b)
	switch {
	case err != nil:
		return "a leaf that cannot be read"
	case l.Signed != nil:
		return fmt.Sprintf("%s %d signed by %s", spec.KindName(l.Signed.Op.Kind), l.Signed.Op.Seq, l.Signed.Op.Org)
	case l.Tick != nil:
		return "a tick"
	case l.Admission != nil:
		return "the admission of a proposal"
	case l.Decision != nil:
		return "the decision of case " + l.Decision.Case.String()[:16]
	case l.Notice != nil:
		return "a notice"
	case l.Panel != nil:
		return fmt.Sprintf("panel %d", l.Panel.Number)
	}
	return "the root of the state"
}

// fields are the names of derived leaves' fields, by tag.
var fields = map[uint64][]string{
	spec.TagTick:      {"tag", "log time", "checkpoint"},
	spec.TagPanel:     {"tag", "number", "number of cosignatures", "seats"},
	spec.TagAdmission: {"tag", "case", "findings"},
	spec.TagDecision:  {"tag", "case", "outcome", "approvals", "rejections", "abstentions", "items left out", "policy"},
	spec.TagNotice:    {"tag", "subject", "level", "case", "decision", "organisations", "log time"},
	spec.TagStateRoot: {"tag", "log size", "live_root", "live count", "rules_root", "epoch", "log time"},
}

// compare says which field of a leaf is not what the rules derive.
func compare(want, got []byte) string {
	if spec.IsEnvelope(got) || spec.IsEnvelope(want) || len(want) < 2 || len(got) < 2 || want[1] != got[1] {
		return "the rules derive " + describe(want) + " here"
	}
	var a, b []rawField
	if spec.Decode(want, &a) != nil || spec.Decode(got, &b) != nil || len(a) != len(b) {
		return "it is not what the rules derive"
	}
	names := fields[uint64(got[1])]
	for i := range a {
		if !bytes.Equal(a[i], b[i]) && i < len(names) {
			return "its " + names[i] + " is not what the rules derive"
		}
	}
	return "it is not what the rules derive"
}

// rawField is one field of a leaf as it is encoded.
type rawField []byte

// MarshalCBOR implements cbor.Marshaler.
func (f rawField) MarshalCBOR() ([]byte, error) { return f, nil }

// UnmarshalCBOR implements cbor.Unmarshaler.
func (f *rawField) UnmarshalCBOR(data []byte) error {
	*f = bytes.Clone(data)
	return nil
}
