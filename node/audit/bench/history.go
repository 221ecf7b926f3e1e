// SPDX-License-Identifier: Apache-2.0

// Package bench measures what proofs cost: bytes for each signal, updates of the
// state, heads, receipts and whole audits. It makes its histories up, by the rules
// that a consortium goes by, and checks every answer that it times.
package bench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math"
	mrand "math/rand/v2"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/node/audit"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/receipt"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

// A history is a consortium of one replica: everything but consensus is real.
type history struct {
	dir     string // of the store
	genesis *spec.Genesis
	chain   *tlog.Chain
	orgs    []*identity.Identity
	store   *storage.Store
	random  *mrand.Rand
	stamp   uint64
	seq     uint64
	first   spec.Signal // of the newest proposal
	opening *spec.Opening
	last    spec.Hash // its case
}

const minute = 60_000

func newHistory(dir string, members int) (*history, error) {
	h := &history{stamp: 1_700_000_000_000, random: mrand.New(mrand.NewPCG(1, 2))}
	var cards []*identity.Card
	for i := range members {
		id := fmt.Sprintf("org-%d", i)
		d := identity.Details{ID: id, Name: id, Role: spec.RoleMember, Jurisdiction: "FR"}
		if _, err := identity.Create(filepath.Join(dir, id), d, rand.Reader); err != nil {
			return nil, err
		}
		who, err := identity.Load(filepath.Join(dir, id))
		if err != nil {
			return nil, err
		}
		h.orgs, cards = append(h.orgs, who), append(cards, who.Card())
	}
	g, err := identity.Found("bench", cards)
	if err != nil {
		return nil, err
	}
	h.genesis = g.Genesis
	if h.chain, err = tlog.NewChain(h.genesis); err != nil {
		return nil, err
	}
	h.dir = filepath.Join(dir, "store")
	if err = h.open(); err != nil {
		return nil, err
	}
	err = h.commit(func(tx *storage.Tx) error { return governance.Init(tx, h.genesis) })
	if err == nil {
		err = h.enter(nil) // the first entry is bare: its checkpoint is what the next begins with
	}
	return h, err
}

func (h *history) open() (err error) {
	h.store, err = storage.Open(h.dir, storage.Options{FS: vfs.Default, Logger: slog.New(slog.DiscardHandler), Fatal: func(error) {}})
	return err
}

func (h *history) commit(fn func(tx *storage.Tx) error) error {
	tx, err := h.store.Begin()
	if err != nil {
		return err
	}
	defer tx.Drop()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit(storage.Applied{})
}

// proposal makes up an addition of items with so many hashes each.
func (h *history) proposal(items, each int) (*spec.Proposal, *spec.Opening) {
	p := &spec.Proposal{Basis: "designated-entity"}
	o := &spec.Opening{Texts: make([]spec.Text, 2)} // neither is given
	for i := range items {
		it := spec.Item{Labels: []string{"isil"}}
		for n := range each {
			s := h.signal(n)
			it.Counts = append(it.Counts, spec.Count{Type: s.Type, Count: 1})
			opened := spec.Opened{Item: i, Signal: s}
			binary.LittleEndian.PutUint64(opened.Salt[:], h.random.Uint64())
			binary.LittleEndian.PutUint64(opened.Salt[8:], h.random.Uint64())
			o.Signals = append(o.Signals, opened)
		}
		p.Items = append(p.Items, it)
	}
	p.Root = o.Root()
	return p, o
}

// kinds are the hashes that the field shares of one item.
var kinds = []string{"pdq", "md5", "sha1", "sha256", "tmk", "sha512"}

func (h *history) signal(n int) spec.Signal {
	t, ok := spec.SignalTypeOf(kinds[n%len(kinds)])
	if !ok || t.Size == 0 {
		t, _ = spec.SignalTypeOf("sha256")
	}
	v := make([]byte, t.Size)
	for i := range v {
		v[i] = byte(h.random.Uint32())
	}
	if t.Name == "pdq" { // half of the bits are set in a real one
		for i := range v[:len(v)/2] {
			v[len(v)/2+i] = ^v[i]
		}
	}
	s := spec.Signal{Type: t.Name, Value: v}
	if t.Quality {
		s.Quality = 100
	}
	return s
}

// sign makes a submission of one organisation.
func (h *history) sign(org int, body spec.Body, o *spec.Opening) (spec.Submission, error) {
	var s spec.Submission
	op, err := spec.NewOp(body)
	if err != nil {
		return s, err
	}
	who := h.orgs[org]
	h.seq++
	op.Org, op.Key, op.Seq, op.MadeMS = who.Organisation.ID, who.Organisation.OpKey.ID(), h.seq, h.stamp
	if s.Envelope, err = spec.Sign(h.genesis.Origin(), op, who.Op); err != nil {
		return s, err
	}
	if o != nil {
		s.Opening, err = o.Encode()
	}
	return s, err
}

// apply puts submissions on the log as one raft entry would.
func (h *history) apply(subs ...spec.Submission) error {
	h.stamp += minute
	signed := h.Signed()
	t, _ := h.chain.At(signed.Size).Timed(signed)
	return h.enter(t, subs...)
}

func (h *history) enter(t *spec.Timed, subs ...spec.Submission) error {
	return h.commit(func(tx *storage.Tx) error {
		var parsed []governance.Parsed
		for i := range subs {
			p := governance.Parse(&subs[i])
			if err := governance.Verify(h.store, &p); err != nil {
				return err
			}
			parsed = append(parsed, p)
		}
		out, err := governance.ApplyEntry(tx, t, parsed)
		for _, o := range out {
			if err == nil {
				err = o.Err()
			}
		}
		return err
	})
}

// list has the consortium list items: a proposal, and the votes that accept it.
func (h *history) list(items, each int) error {
	p, o := h.proposal(items, each)
	first, err := h.sign(0, p, o)
	if err != nil {
		return err
	}
	h.first, h.opening, h.last = o.Signals[0].Signal, o, spec.LeafHash(first.Envelope)
	if err := h.apply(first); err != nil {
		return err
	}
	for org := 1; org <= len(h.orgs)/2; org++ {
		vote, err := h.sign(org, &spec.Vote{Case: h.last, Choice: spec.Approve}, nil)
		if err != nil {
			return err
		}
		if err := h.apply(vote); err != nil {
			return err
		}
	}
	return nil
}

// Signed cosigns the log as it is with every organisation; it implements
// receipt.Final.
func (h *history) Signed() *tlog.Signed {
	head := h.store.Head()
	s := &tlog.Signed{Checkpoint: tlog.Checkpoint{Origin: h.genesis.Origin(), Size: head.Size, Root: head.Root}}
	for _, o := range h.orgs {
		s.Cosignatures = append(s.Cosignatures, tlog.Cosign(s.Checkpoint, o.Organisation.ID, o.Cosign, h.stamp/1000))
	}
	return s
}

// Wait implements receipt.Final.
func (h *history) Wait(context.Context, uint64) error { return nil }

func (h *history) maker() *receipt.Maker {
	return &receipt.Maker{Genesis: h.genesis, Chain: h.chain, Store: h.store, Final: h}
}

// dump writes the public dump.
func (h *history) dump(w io.Writer) error {
	note, err := h.chain.Note(h.Signed())
	if err != nil {
		return err
	}
	d, err := audit.NewWriter(w, h.genesis, nil, note)
	if err != nil {
		return err
	}
	for from := uint64(0); from < h.store.Size(); {
		leaves, err := h.store.Leaves(from, 1<<20)
		if err != nil {
			return err
		}
		for _, l := range leaves {
			if err := d.Leaf(l); err != nil {
				return err
			}
		}
		from += uint64(len(leaves))
	}
	return d.Close()
}

// scratch runs fn with a history in a folder that is removed afterwards.
func scratch(members int, fn func(dir string, h *history) error) error {
	dir, err := os.MkdirTemp("", "tocsin-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	h, err := newHistory(dir, members)
	if err != nil {
		return err
	}
	defer func() { h.store.Close() }() // it may have been opened again
	return fn(dir, h)
}

func round(x float64) float64 { return math.Round(x*100) / 100 }
