// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/spec/tlog/receipt"
	"github.com/tocsin-db/tocsin/storage"
)

// State is what the commitment to the state costs.
type State struct {
	Live            uint64  `json:"live"`              // signals in the state
	FillSeconds     float64 `json:"fill_s"`            // to write them, and to open the store with its roots checked
	ListMicros      float64 `json:"list_us"`           // for each signal listed: signatures, rules, records, log, indexes
	UpdateMicros    float64 `json:"update_us"`         // of that, for the signal's record and both roots of the state
	RootMicros      float64 `json:"root_us"`           // of that, for the roots alone
	StateProofBytes int     `json:"state_proof_bytes"` // that one signal is live: bucket path and siblings; the largest
	StateProofMicro float64 `json:"state_proof_us"`    // to check it
	RuleProofBytes  int     `json:"rule_proof_bytes"`  // of a record of the rules
	AbsenceBytes    int     `json:"absence_bytes"`     // receipt that a signal is not listed
	AbsenceMicros   float64 `json:"absence_us"`        // to verify it
}

func (s *State) print(w io.Writer) {
	fmt.Fprintf(w, "state of %d live signals, written and opened with its roots checked in %.1f s\n", s.Live, s.FillSeconds)
	fmt.Fprintf(w, "one more signal: %.2f µs for its record and the roots of the state, of which the roots %.2f; %.2f µs with the proposal, votes, log and indexes\n", s.UpdateMicros, s.RootMicros, s.ListMicros)
	fmt.Fprintf(w, "proof that one is live: %d bytes at most, checked in %.1f µs; of a record of the rules %d bytes\n", s.StateProofBytes, s.StateProofMicro, s.RuleProofBytes)
	fmt.Fprintf(w, "receipt that one is not listed: %d bytes, verified in %.1f µs\n", s.AbsenceBytes, s.AbsenceMicros)
}

// batches are listed to measure what one more signal costs, of 256 items with four
// signals each.
const (
	batches = 8
	batch   = 1024
)

// state fills a state and measures what more proposals, heads and receipts cost.
func (f *Figures) state(ctx context.Context, o Options) error {
	return scratch(o.Members, func(_ string, h *history) error {
		filled := (o.Live + batch - 1) / batch * batch
		began := time.Now()
		if err := h.flood(ctx, filled); err != nil {
			return err
		}
		f.FillSeconds = round(time.Since(began).Seconds())
		old := h.Signed()
		began = time.Now()
		for range batches {
			if err := h.list(256, 4); err != nil {
				return err
			}
		}
		f.ListMicros = each(time.Since(began))
		f.Live = h.store.Head().Live
		if want := uint64(filled + batches*batch); f.Live != want {
			return fmt.Errorf("%d signals are live where %d were listed", f.Live, want)
		}
		if err := f.update(h); err != nil {
			return err
		}
		if err := f.proofs(h); err != nil {
			return err
		}
		if err := f.head(h, old); err != nil {
			return err
		}
		return f.receipt(ctx, h)
	})
}

func each(d time.Duration) float64 {
	return round(float64(d.Nanoseconds()) / 1000 / (batches * batch))
}

// flood fills the store with active entries of four signals, without votes.
func (h *history) flood(ctx context.Context, live int) error {
	entry := func(i int) storage.FillEntry {
		var seed [16]byte
		binary.BigEndian.PutUint64(seed[:], uint64(i))
		sum := sha512.Sum512(seed[:])
		binary.BigEndian.PutUint64(seed[8:], uint64(i/storage.FillItems)+1)
		return storage.FillEntry{
			Case: spec.LeafHash(seed[8:]), Org: h.orgs[0].Organisation.ID, Labels: []string{"isil"},
			Signals: []spec.Signal{
				{Type: "md5", Value: sum[:16]}, {Type: "sha1", Value: sum[16:36]}, {Type: "sha256", Value: sum[32:]}, {Type: "url", Value: sum[16:48]},
			},
		}
	}
	if err := h.store.Fill(ctx, live/4, entry); err != nil {
		return err
	}
	if err := h.store.Close(); err != nil {
		return err
	}
	return h.open()
}

// update measures the state alone: the records of more signals and the roots over
// them, in batches that are dropped.
func (f *Figures) update(h *history) error {
	var all, roots time.Duration
	before := h.store.Head()
	for range batches {
		_, o := h.proposal(256, 4)
		tx, err := h.store.Begin()
		if err != nil {
			return err
		}
		began := time.Now()
		id := o.Root() // of no case: the batch is dropped
		err = tx.Hold(id, o)
		for item := 0; item < 256 && err == nil; item++ {
			err = tx.List(spec.Listing{
				Case: id, First: 4 * item, Count: 4, Live: true,
				Meta: spec.LiveMeta{Entry: spec.EntryID(id, item), State: spec.StateActive, Since: before.Size, Labels: []string{"isil"}},
			})
		}
		listed := time.Now()
		var r spec.Roots
		if err == nil {
			r, err = tx.Roots()
		}
		all, roots = all+time.Since(began), roots+time.Since(listed)
		tx.Drop()
		if err != nil {
			return err
		}
		if r.LiveCount != before.Live+batch {
			return fmt.Errorf("the roots are over %d signals where %d are live", r.LiveCount, before.Live+batch)
		}
	}
	f.UpdateMicros, f.RootMicros = each(all), each(roots)
	return nil
}

// proofs measures the proofs of the newest proposal's signals, and checks them.
func (f *Figures) proofs(h *history) error {
	head := h.store.Head()
	leaves, err := h.store.Leaves(head.Size-1, 1)
	if err != nil {
		return err
	}
	root, err := spec.ParseLeaf(leaves[0])
	if err != nil || root.StateRoot == nil {
		return fmt.Errorf("the log does not end with the root of the state: %w", err)
	}
	const step = 16 // of them are proved
	for i := 0; i < len(h.opening.Signals); i += step {
		o := &h.opening.Signals[i]
		entry, k := spec.EntryID(h.last, o.Item), o.Signal.Key()
		p, err := h.store.Prove([][]byte{spec.EntryKey(entry)}, k, entry)
		if err != nil || p.Live == nil || len(p.Records) != 1 {
			return fmt.Errorf("signal %d of the newest proposal is not proved: %w", i, err)
		}
		var e spec.Entry
		if err := spec.Decode(p.Records[0].Value, &e); err != nil {
			return err
		}
		meta, err := spec.Encode(&spec.LiveMeta{Entry: entry, State: e.State, Since: e.Since, Sunset: e.Sunset, Labels: e.Labels})
		if err != nil {
			return err
		}
		live := spec.LiveLeaf(k, o.Commitment(), meta)
		check := func() error { return p.Live.Check(tlog.LiveBits, k, live, root.StateRoot.LiveRoot) }
		if err := check(); err != nil {
			return err
		}
		b, err := spec.Encode(p.Live)
		if err != nil {
			return err
		}
		f.StateProofBytes = max(f.StateProofBytes, len(b))
		rule, err := spec.Encode(p.Records[0].Proof)
		if err != nil {
			return err
		}
		f.RuleProofBytes = max(f.RuleProofBytes, len(rule))
		if i+step >= len(h.opening.Signals) {
			if f.StateProofMicro, err = timed(check); err != nil {
				return err
			}
		}
	}
	return nil
}

// absence measures the receipt of a signal that is not listed.
func (f *Figures) absence(ctx context.Context, h *history, v *receipt.Verifier) error {
	s := spec.Signal{Type: "md5", Value: bytes.Repeat([]byte{9}, 16)}
	b, err := h.maker().Absent(ctx, s)
	if err != nil {
		return err
	}
	f.AbsenceBytes = len(b)
	f.AbsenceMicros, err = timed(func() error {
		fact, err := v.VerifyAbsence(b)
		if err == nil {
			err = fact.Answers(receipt.Question{Signal: &s})
		}
		return err
	})
	return err
}

// peak is the most memory that the process held.
func peak() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return int64(u.Maxrss) << 10
}
