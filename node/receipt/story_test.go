// SPDX-License-Identifier: Apache-2.0

package receipt_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"log/slog"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/node/receipt"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

// seed makes the same key in every run.
func seed(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func public(n byte) spec.PublicKey { return spec.PublicKey(seed(n).Public().(ed25519.PublicKey)) }

var members = []string{"alpha", "bravo", "charlie", "delta"}

// A story is a consortium of one replica in which every key, salt and time is fixed:
// it comes to the same bytes in every run. It implements receipt.Final.
type story struct {
	t       testing.TB
	genesis *spec.Genesis
	chain   *tlog.Chain
	store   *storage.Store
	cosign  map[string][]byte // numbers of the keys with which each cosigns
	stamp   uint64            // milliseconds
	seq     uint64
	final   *tlog.Signed
	links   []tlog.Link
}

// newStory founds the consortium: organisation n of members has the op, cosign and
// libp2p keys 3n, 3n+1, 3n+2.
func newStory(t testing.TB) *story {
	g := &spec.Genesis{Version: spec.GenesisVersion, Name: "vectors", Policy: spec.DefaultPolicy()}
	h := &story{t: t, genesis: g, stamp: 1_700_000_000_000, cosign: map[string][]byte{}}
	for i, id := range members {
		n := byte(i + 1)
		g.Organisations = append(g.Organisations, spec.Organisation{
			ID: id, Name: "Organisation " + id, Role: spec.RoleMember, Jurisdiction: "FR",
			OpKey: public(3 * n), CosignKey: public(3*n + 1), Libp2pKey: public(3*n + 2),
		})
		h.cosign[id] = []byte{3*n + 1}
	}
	var err error
	h.chain, err = tlog.NewChain(g)
	h.must(err)
	h.store, err = storage.Open("store", storage.Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }})
	h.must(err)
	t.Cleanup(func() { h.store.Close() })
	h.commit(func(tx *storage.Tx) error { return governance.Init(tx, g) })
	h.enter(nil) // the first group is bare: its checkpoint is what the next begins with
	return h
}

func (h *story) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *story) commit(fn func(tx *storage.Tx) error) {
	h.t.Helper()
	tx, err := h.store.Begin()
	h.must(err)
	defer tx.Drop()
	h.must(fn(tx))
	h.must(tx.Commit(storage.Applied{}))
}

// enter puts what one raft entry brings on the log, and makes the log final.
func (h *story) enter(tick *spec.Timed, subs ...spec.Submission) {
	h.t.Helper()
	h.commit(func(tx *storage.Tx) error {
		var parsed []governance.Parsed
		for i := range subs {
			p := governance.Parse(&subs[i])
			if err := governance.Verify(h.store, &p); err != nil {
				return err
			}
			parsed = append(parsed, p)
		}
		out, err := governance.ApplyEntry(tx, tick, parsed)
		for _, o := range out {
			if err == nil {
				err = o.Err()
			}
		}
		return err
	})
	h.handOff()
	h.final = h.signed()
}

// handOff learns of a panel that took over at the end of the log, with its link.
func (h *story) handOff() {
	r, err := governance.PanelInForce(h.store)
	h.must(err)
	if r.Panel.Number <= h.chain.Number() {
		return
	}
	h.must(h.chain.Grow(&r.Panel, r.Size, r.From))
	leaf, err := spec.Encode(&r.Panel)
	h.must(err)
	l, err := tlog.NewLink(h.chain, h.store, leaf, h.signed(), nil)
	h.must(err)
	h.must(h.chain.Add(l))
	h.links = append(h.links, *l)
}

// signed is the log as it is, cosigned by all of its panel, each a second behind the
// one before.
func (h *story) signed() *tlog.Signed {
	head := h.store.Head()
	s := &tlog.Signed{Checkpoint: tlog.Checkpoint{Origin: h.genesis.Origin(), Size: head.Size, Root: head.Root}}
	for i, id := range members {
		for _, n := range h.cosign[id] {
			if c := tlog.Cosign(s.Checkpoint, id, seed(n), h.stamp/1000+uint64(i)); h.chain.At(head.Size).Verify(s.Checkpoint, &c) {
				s.Cosignatures = append(s.Cosignatures, c)
			}
		}
	}
	slices.SortFunc(s.Cosignatures, tlog.Order)
	return s
}

// Signed implements receipt.Final.
func (h *story) Signed() *tlog.Signed { return h.final }

// Wait implements receipt.Final.
func (h *story) Wait(context.Context, uint64) error { return nil }

// sign makes a submission of the member of a number.
func (h *story) sign(member int, body spec.Body, o *spec.Opening) spec.Submission {
	h.t.Helper()
	op, err := spec.NewOp(body)
	h.must(err)
	clock := new(spec.Clock)
	b, err := h.store.Record(spec.ClockKey)
	h.must(err)
	h.must(spec.Decode(b, clock))
	key := byte(3 * (member + 1))
	h.seq++
	op.Org, op.Key, op.Seq, op.Epoch, op.MadeMS = members[member], public(key).ID(), h.seq, clock.Epoch, h.stamp
	var s spec.Submission
	s.Envelope, err = spec.Sign(h.genesis.Origin(), op, seed(key))
	h.must(err)
	if o != nil {
		s.Opening, err = o.Encode()
		h.must(err)
	}
	return s
}

// group puts one operation on the log, a minute after the last.
func (h *story) group(member int, body spec.Body, o *spec.Opening) spec.Hash {
	h.t.Helper()
	s := h.sign(member, body, o)
	t, _ := h.chain.At(h.final.Size).Timed(h.final)
	h.stamp += 60_000
	h.enter(t, s)
	return spec.LeafHash(s.Envelope)
}

// approve has members vote for a case.
func (h *story) approve(id spec.Hash, by ...int) {
	h.t.Helper()
	for _, m := range by {
		h.group(m, &spec.Vote{Case: id, Choice: spec.Approve}, nil)
	}
}

// list has alpha propose an item and bravo and charlie approve it; every byte of its
// sha256 and of its salts is n.
func (h *story) list(n byte) (entry spec.Hash, signal spec.Signal) {
	h.t.Helper()
	o := &spec.Opening{Texts: make([]spec.Text, 2)}
	p := &spec.Proposal{Basis: "designated-entity", Items: []spec.Item{{Labels: []string{"isil"}}}}
	for _, s := range []spec.Signal{{Type: "sha256", Value: bytes.Repeat([]byte{n}, 32)}, {Type: "md5", Value: bytes.Repeat([]byte{n}, 16)}} {
		o.Signals = append(o.Signals, spec.Opened{Salt: [spec.SaltSize]byte(bytes.Repeat([]byte{n}, spec.SaltSize)), Signal: s})
		p.Items[0].Counts = append(p.Items[0].Counts, spec.Count{Type: s.Type, Count: 1})
	}
	p.Root = o.Root()
	id := h.group(0, p, o)
	h.approve(id, 1, 2)
	return spec.EntryID(id, 0), o.Signals[0].Signal
}

func (h *story) maker() *receipt.Maker {
	return &receipt.Maker{Genesis: h.genesis, Chain: h.chain, Store: h.store, Final: h}
}
