// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/tocsin-db/tocsin/node/audit"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/spec/tlog/receipt"
)

// Options say what is measured.
type Options struct {
	Members int
	Signals int // of the history that is audited
	Live    int // live signals before updates and receipts are measured
	JSON    bool
}

// Figures are what was measured.
type Figures struct {
	Members int     `json:"members"`
	Batches []Batch `json:"batches"`

	State
	HeadMicros    float64 `json:"head_us"` // cosignatures and a consistency proof
	HeadBytes     int     `json:"head_bytes"`
	ReceiptBytes  int     `json:"receipt_bytes"`
	ReceiptMicros float64 `json:"receipt_us"`

	Audited      uint64  `json:"audited_signals"`
	AuditLeaves  uint64  `json:"audited_leaves"`
	AuditBytes   int64   `json:"audited_bytes"`
	AuditSeconds float64 `json:"audit_s"`

	Seconds   float64 `json:"run_s"`
	PeakBytes int64   `json:"peak_bytes"` // of the process
}

// A Batch is the size of a proposal for each of its signals.
type Batch struct {
	Signals int     `json:"signals"`
	Items   int     `json:"items"`
	Leaf    float64 `json:"leaf_bytes"`
	Opening float64 `json:"opening_bytes"`
}

// Run measures and writes the figures to w.
func Run(ctx context.Context, o Options, w io.Writer) error {
	f, began := Figures{Members: o.Members}, time.Now()
	for _, step := range []func() error{
		func() error { return f.bytes(o) }, func() error { return f.state(ctx, o) }, func() error { return f.audit(ctx, o) },
	} {
		if err := step(); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	f.Seconds, f.PeakBytes = round(time.Since(began).Seconds()), peak()
	if o.JSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(f)
	}
	for _, b := range f.Batches {
		fmt.Fprintf(w, "proposal of %d signals in %d items: %.1f bytes of leaf and %.1f of opening for each\n", b.Signals, b.Items, b.Leaf, b.Opening)
	}
	f.State.print(w)
	fmt.Fprintf(w, "head of %d cosignatures with a consistency proof: %d bytes, verified in %.1f µs\n", f.Members, f.HeadBytes, f.HeadMicros)
	fmt.Fprintf(w, "receipt: %d bytes, verified in %.1f µs\n", f.ReceiptBytes, f.ReceiptMicros)
	fmt.Fprintf(w, "audit of %d signals: %d leaves, %d bytes, %.1f s, %.1f µs for each signal\n", f.Audited, f.AuditLeaves, f.AuditBytes, f.AuditSeconds, 1e6*f.AuditSeconds/float64(max(f.Audited, 1)))
	_, err := fmt.Fprintf(w, "all of this took %.1f s and at most %.2f GB\n", f.Seconds, float64(f.PeakBytes)/1e9)
	return err
}

// bytes measures proposals, each of which is read again.
func (f *Figures) bytes(o Options) error {
	return scratch(o.Members, func(_ string, h *history) error {
		for _, shape := range [][2]int{{1, 1}, {1, 6}, {256, 1}} {
			p, opening := h.proposal(shape[0], shape[1])
			s, err := h.sign(0, p, opening)
			if err != nil {
				return err
			}
			again, err := spec.ParseOpening(s.Opening)
			if err != nil || again.Root() != p.Root {
				return fmt.Errorf("the opening of %d signals does not hash to the proposal's root: %w", len(opening.Signals), err)
			}
			if err := h.apply(s); err != nil {
				return err
			}
			n := len(opening.Signals)
			f.Batches = append(f.Batches, Batch{n, shape[0], round(float64(len(s.Envelope)) / float64(n)), round(float64(len(s.Opening)) / float64(n))})
		}
		return nil
	})
}

// fill lists signals in batches until there are so many.
func (h *history) fill(ctx context.Context, live int) error {
	for h.store.Head().Live < uint64(live) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := h.list(256, 4); err != nil {
			return err
		}
	}
	return nil
}

// head measures what a follower does with a new head.
func (f *Figures) head(h *history, old *tlog.Signed) error {
	note, err := h.chain.Note(h.Signed())
	if err != nil {
		return err
	}
	proof, err := tlog.Consistency(h.store, old.Size, h.store.Size())
	if err != nil {
		return err
	}
	f.HeadBytes = len(note) + 32*len(proof)
	f.HeadMicros, err = timed(func() error {
		s, err := h.chain.OpenFinal(note)
		if err != nil {
			return err
		}
		return tlog.CheckConsistency(proof, old.Size, old.Root, s.Size, s.Root)
	})
	return err
}

// receipt measures the receipt of an item that was proposed alone, with one value.
func (f *Figures) receipt(ctx context.Context, h *history) error {
	if err := h.list(1, 6); err != nil {
		return err
	}
	b, err := h.maker().Get(ctx, spec.EntryID(h.last, 0), &h.first)
	if err != nil {
		return err
	}
	v, err := receipt.NewVerifier(h.genesis)
	if err != nil {
		return err
	}
	f.ReceiptBytes = len(b)
	if err := f.absence(ctx, h, v); err != nil {
		return err
	}
	f.ReceiptMicros, err = timed(func() error {
		fact, err := v.Verify(b)
		if err == nil && (!fact.Live || fact.Entry != spec.EntryID(h.last, 0)) {
			err = fmt.Errorf("the receipt says %+v", fact)
		}
		return err
	})
	return err
}

// timed returns the microseconds of one call, over half a second.
func timed(fn func() error) (float64, error) {
	n, began := 0, time.Now()
	for time.Since(began) < 500*time.Millisecond {
		if err := fn(); err != nil {
			return 0, err
		}
		n++
	}
	return round(float64(time.Since(began).Nanoseconds()) / 1000 / float64(n)), nil
}

// audit makes a history and audits its dump.
func (f *Figures) audit(ctx context.Context, o Options) error {
	return scratch(o.Members, func(dir string, h *history) error {
		if err := h.fill(ctx, o.Signals); err != nil {
			return err
		}
		path := filepath.Join(dir, "dump")
		file, err := os.Create(path)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := h.dump(file); err != nil {
			return err
		}
		if f.AuditBytes, err = file.Seek(0, io.SeekEnd); err != nil {
			return err
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		began := time.Now()
		r, err := audit.Verify(ctx, bufio.NewReader(file), audit.Options{Genesis: h.genesis})
		if err != nil {
			return err
		}
		f.AuditSeconds, f.Audited, f.AuditLeaves = round(time.Since(began).Seconds()), r.Signals, r.Leaves
		if r.Signals != h.store.Head().Live || r.Leaves != h.store.Size() {
			return fmt.Errorf("the audit counts %d signals and %d leaves where there are %d and %d", r.Signals, r.Leaves, h.store.Head().Live, h.store.Size())
		}
		return nil
	})
}
