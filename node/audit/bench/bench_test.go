// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/node/audit"
	"github.com/tocsin-db/tocsin/spec"
)

// dumpOpen writes a dump with the openings that the store holds, after change has
// seen each leaf and opening.
func dumpOpen(t *testing.T, h *history, change func(leaf []byte, opening *spec.Opening) []byte) []byte {
	t.Helper()
	note, err := h.chain.Note(h.Signed())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	d, err := audit.NewWriter(&out, h.genesis, nil, note)
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := h.store.Leaves(0, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	var group [][]byte
	for _, l := range leaves {
		id := spec.LeafHash(l)
		o, err := h.store.Opening(id)
		if err != nil {
			t.Fatal(err)
		}
		l = change(bytes.Clone(l), o)
		if o != nil {
			b, err := o.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Opening(id, b); err != nil {
				t.Fatal(err)
			}
		}
		if group = append(group, l); !spec.EndsGroup(l) {
			continue
		}
		for _, l := range group {
			if err := d.Leaf(l); err != nil {
				t.Fatal(err)
			}
		}
		group = nil
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// With the openings an audit computes the root of the signals too: a value that was
// changed, and a root that is not theirs, are found and named.
func TestAnAuditWithOpenings(t *testing.T) {
	err := scratch(3, func(_ string, h *history) error {
		for range 3 {
			if err := h.list(2, 4); err != nil {
				return err
			}
		}
		same := func(l []byte, _ *spec.Opening) []byte { return l }
		r, err := audit.Verify(t.Context(), bytes.NewReader(dumpOpen(t, h, same)), audit.Options{Genesis: h.genesis})
		if err != nil {
			return err
		}
		if !r.LiveRoot || r.Opened != 3 || r.Signals != 24 {
			t.Errorf("the audit says %+v", r)
		}
		var closed bytes.Buffer
		if err := h.dump(&closed); err != nil {
			return err
		}
		if r, err := audit.Verify(t.Context(), &closed, audit.Options{Genesis: h.genesis}); err != nil || r.LiveRoot || r.Opened != 0 || r.Signals != 24 {
			t.Errorf("without openings: %+v, %v", r, err)
		}

		n := 0
		value := dumpOpen(t, h, func(l []byte, o *spec.Opening) []byte {
			if o != nil {
				if n++; n == 2 {
					o.Signals[3].Signal.Value[0] ^= 1
				}
			}
			return l
		})
		var w *audit.WrongError
		if _, err := audit.Verify(t.Context(), bytes.NewReader(value), audit.Options{Genesis: h.genesis}); !errors.As(err, &w) || spec.CodeOf(err) != spec.CodeMismatch {
			t.Errorf("a changed value: %v", err)
		}

		n = 0
		root := dumpOpen(t, h, func(l []byte, _ *spec.Opening) []byte {
			p, err := spec.ParseLeaf(l)
			if err != nil {
				t.Fatal(err)
			}
			if p.StateRoot == nil || p.StateRoot.LiveCount == 0 {
				return l
			}
			if n++; n != 2 {
				return l
			}
			p.StateRoot.LiveRoot[5] ^= 1
			b, err := spec.Encode(p.StateRoot)
			if err != nil {
				t.Fatal(err)
			}
			return b
		})
		if _, err := audit.Verify(t.Context(), bytes.NewReader(root), audit.Options{Genesis: h.genesis}); !errors.As(err, &w) || !strings.Contains(w.Meaning, "live_root") {
			t.Errorf("a changed live_root: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The figures are those of what was made.
func TestFigures(t *testing.T) {
	var out bytes.Buffer
	if err := Run(t.Context(), Options{Members: 4, Signals: 1000, Live: 1, JSON: true}, &out); err != nil {
		t.Fatal(err)
	}
	var f Figures
	if err := json.Unmarshal(out.Bytes(), &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Batches) != 3 || f.Batches[1].Signals != 6 || f.Batches[2].Items != 256 || f.Batches[0].Leaf < 100 || f.Batches[2].Leaf > 40 || f.Live != 9*1024 ||
		f.Audited != 1024 || f.ReceiptBytes < 1000 || f.ReceiptBytes > 10_000 || f.StateProofBytes < 18*32 || f.RuleProofBytes < 16*32 || f.AbsenceBytes < 18*32 || f.RootMicros > f.UpdateMicros || f.PeakBytes == 0 || f.AuditBytes == 0 {
		t.Errorf("%+v", f)
	}
}
