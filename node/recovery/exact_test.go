// SPDX-License-Identifier: Apache-2.0

package recovery_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/node/recovery"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

func key(name string) ed25519.PrivateKey {
	h := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(h[:])
}

func public(name string) spec.PublicKey {
	return spec.PublicKey(key(name).Public().(ed25519.PublicKey))
}

// A world is a small consortium, four members and a reader, of which alpha, bravo and
// charlie sequence, with the log up to a checkpoint that they made final.
type world struct {
	t       testing.TB
	genesis *spec.Genesis
	store   *storage.Store
	final   *tlog.Signed
	note    []byte
	proof   *tlog.Recovery // as far as Prove makes it
	leaves  [][]byte
}

var orgs = []string{"alpha", "bravo", "charlie", "delta", "tango"}

func newWorld(t testing.TB) *world {
	t.Helper()
	g := &spec.Genesis{Version: spec.GenesisVersion, Name: "test", Policy: spec.DefaultPolicy()}
	g.Policy.Sequencers = []string{"alpha", "bravo", "charlie"}
	for _, id := range orgs {
		role := spec.RoleMember
		if id == "tango" {
			role = spec.RoleReader
		}
		g.Organisations = append(g.Organisations, spec.Organisation{
			ID: id, Name: id, Role: role, Jurisdiction: "FR", OpKey: public(id + " op"), CosignKey: public(id + " cosign"), Libp2pKey: public(id + " libp2p"),
		})
	}
	st, err := storage.Open("store", storage.Options{FS: vfs.NewMem(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	w := &world{t: t, genesis: g, store: st}
	tx := w.begin()
	if err := governance.Init(tx, g); err != nil {
		t.Fatal(err)
	}
	w.commit(tx)
	w.enter(nil)
	w.enter(w.tick(1000))
	w.enter(w.tick(2000))
	w.final = w.cosigned(w.checkpoint(st, st.Size()), seatsOf("alpha", "bravo"))
	if w.note, err = w.chain().Note(w.final); err != nil {
		t.Fatal(err)
	}
	if w.proof, err = recovery.Prove(st, w.note, orgs); err != nil {
		t.Fatal(err)
	}
	if w.leaves, err = st.Leaves(0, 1<<20); err != nil || uint64(len(w.leaves)) != w.final.Size {
		t.Fatal(len(w.leaves), err)
	}
	return w
}

func (w *world) begin() *storage.Tx {
	w.t.Helper()
	tx, err := w.store.Begin()
	if err != nil {
		w.t.Fatal(err)
	}
	return tx
}

func (w *world) commit(tx *storage.Tx) {
	w.t.Helper()
	if err := tx.Commit(storage.Applied{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) enter(at *spec.Timed, subs ...governance.Parsed) {
	w.t.Helper()
	tx := w.begin()
	if _, err := governance.ApplyEntry(tx, at, subs); err != nil {
		w.t.Fatal(err)
	}
	w.commit(tx)
}

func (w *world) chain() *tlog.Chain {
	w.t.Helper()
	c, err := tlog.NewChain(w.genesis)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) checkpoint(h tlog.Hashes, size uint64) tlog.Checkpoint {
	w.t.Helper()
	root, err := tlog.Root(h, size)
	if err != nil {
		w.t.Fatal(err)
	}
	return tlog.Checkpoint{Origin: w.genesis.Origin(), Size: size, Root: root}
}

func seatsOf(ids ...string) (out []spec.Seat) {
	for _, id := range ids {
		out = append(out, spec.Seat{Org: id, Key: public(id + " cosign")})
	}
	return out
}

// privates finds the private half of every cosign key that a test names.
var privates = func() map[spec.PublicKey]ed25519.PrivateKey {
	out := map[spec.PublicKey]ed25519.PrivateKey{}
	for _, id := range append(slices.Clone(orgs), "zulu") {
		for _, name := range []string{id + " cosign", id + " fresh"} {
			out[public(name)] = key(name)
		}
	}
	return out
}()

func (w *world) cosigned(c tlog.Checkpoint, by []spec.Seat) *tlog.Signed {
	s := &tlog.Signed{Checkpoint: c}
	for _, x := range by {
		s.Cosignatures = append(s.Cosignatures, tlog.Cosign(c, x.Org, privates[x.Key], 1000))
	}
	slices.SortFunc(s.Cosignatures, tlog.Order)
	return s
}

// tick is a checkpoint of the log as it is that moves log time.
func (w *world) tick(unix uint64) *spec.Timed {
	c := w.checkpoint(w.store, w.store.Size())
	t := &spec.Timed{Size: c.Size, Root: c.Root}
	for _, id := range []string{"alpha", "bravo"} {
		t.Cosignatures = append(t.Cosignatures, spec.Cosignature{Org: id, Time: unix, Sig: tlog.Cosign(c, id, key(id+" cosign"), unix).Sig})
	}
	return t
}

// A row is what is put behind the checkpoint: what a recovery should be, or nearly.
type row struct {
	tick   bool
	ops    [][]byte // envelopes
	others []bool   // which of them ask for something else
	panel  spec.Panel
}

// body is what three of four members ask for.
func (w *world) body() *spec.Recover {
	return &spec.Recover{Size: w.final.Size, Root: w.final.Root, Seats: seatsOf("alpha", "charlie", "delta"), Epoch: 1}
}

func (w *world) op(id string, body spec.Body, change func(*spec.Op), by ed25519.PrivateKey) []byte {
	w.t.Helper()
	raw, err := spec.Encode(body)
	if err != nil {
		w.t.Fatal(err)
	}
	op := &spec.Op{Version: spec.OpVersion, Kind: body.Kind(), Body: raw, Org: id, Key: public(id + " op").ID()}
	if change != nil {
		change(op)
	}
	env, err := spec.Sign(w.genesis.Origin(), op, by)
	if err != nil {
		w.t.Fatal(err)
	}
	return env
}

// random is a row in which none, one or more things are wrong.
func (w *world) random(rng *rand.Rand) row {
	body := w.body()
	rarely := func() bool { return rng.IntN(14) == 0 }
	bend := func(b *spec.Recover) {
		if rarely() {
			b.Size += uint64(rng.IntN(3)) - 1
		}
		if rarely() {
			b.Root[rng.IntN(32)] ^= 1
		}
		if rarely() {
			b.Epoch += uint64(rng.IntN(3)) - 1
		}
		if rarely() {
			b.Seats = seatsOf([][]string{{"delta"}, {"alpha", "tango"}, {"alpha", "zulu"}, {"alpha", "bravo", "charlie"}}[rng.IntN(4)]...)
		}
		if rarely() {
			i := rng.IntN(len(b.Seats))
			b.Seats = slices.Clone(b.Seats)
			b.Seats[i].Key = public(b.Seats[i].Org + " fresh")
		}
	}
	bend(body)
	who := []string{"alpha", "bravo", "charlie", "delta"}
	rng.Shuffle(4, func(i, j int) { who[i], who[j] = who[j], who[i] })
	who = who[:3]
	if rarely() {
		who = append(who[:rng.IntN(3)], orgs[rng.IntN(len(orgs))])
	}
	if rarely() {
		who = append(who, orgs[rng.IntN(len(orgs))])
	}
	r := row{tick: rarely()}
	for _, id := range who {
		b := *body
		if rarely() {
			bend(&b)
		}
		if rarely() {
			r.ops, r.others = append(r.ops, w.op(id, &spec.Applied{At: []spec.AppliedAt{{Index: 0}}}, func(op *spec.Op) { op.Seq = 1 }, key(id+" op"))), append(r.others, true)
		}
		by := key(id + " op")
		if rarely() {
			by = key([]string{"alpha op", "tango op", id + " cosign"}[rng.IntN(3)])
		}
		change := func(op *spec.Op) {
			if rarely() {
				*[]*uint64{&op.Seq, &op.MadeMS, &op.Epoch}[rng.IntN(3)] = 1
			}
		}
		r.ops, r.others = append(r.ops, w.op(id, &b, change, by)), append(r.others, false)
	}
	if rarely() {
		r.ops = append(r.ops, w.op("delta", &spec.Applied{At: []spec.AppliedAt{{Index: 0}}}, func(op *spec.Op) { op.Seq, op.Epoch = 1, 1 }, key("delta op")))
		r.others = append(r.others, true)
	}
	r.panel = spec.Panel{Tag: spec.TagPanel, Number: 1, K: uint64(tlog.Quorum(len(body.Seats))), Seats: body.Seats}
	if rarely() {
		r.panel.Number += uint64(rng.IntN(2))
		r.panel.K = uint64(len(body.Seats))
	}
	return r
}

// decided reports whether the rules take the whole row and derive its panel, and
// from which code on they do not.
func (w *world) decided(r row) (bool, spec.Code) {
	w.t.Helper()
	tx := w.begin()
	defer tx.Drop()
	var subs []governance.Parsed
	for _, env := range r.ops {
		subs = append(subs, governance.Parse(&spec.Submission{Envelope: env}))
	}
	var at *spec.Timed
	if r.tick {
		at = w.tick(3000)
	}
	out, err := governance.ApplyEntry(tx, at, subs)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range out {
		if o.Code != "" {
			return false, o.Code
		}
	}
	got, err := governance.PanelInForce(tx)
	if err != nil {
		w.t.Fatal(err)
	}
	a, b := encode(w.t, &got.Panel), encode(w.t, &r.panel)
	stands := w.final.Size + uint64(len(r.ops)) + 2 // what stands in the log twice is one
	return got.From == w.final.Size && got.Size == stands && tx.Size() == stands && bytes.Equal(a, b), ""
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := spec.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// linked reports whether a link shows the recovery in a log that says what the row
// says, whether the rules derive that or not. Who makes it says of the operations
// what suits it.
func (w *world) linked(r row, only bool) error {
	w.t.Helper()
	log := new(tlog.Memory)
	leaves := slices.Clone(w.leaves)
	if r.tick {
		leaves = append(leaves, encode(w.t, &spec.Tick{Tag: spec.TagTick, TimeMS: 3_000_000, Checkpoint: *w.tick(3000)}))
	}
	leaves = append(leaves, r.ops...)
	leaves = append(leaves, encode(w.t, &r.panel), encode(w.t, &spec.StateRoot{Tag: spec.TagStateRoot, SizeBefore: uint64(len(leaves)) + 1, Epoch: 1}))
	for _, l := range leaves {
		log.Add(spec.LeafHash(l))
	}
	proof := *w.proof
	var shown [][]byte
	for i, env := range r.ops {
		if !only || !r.others[i] {
			shown = append(shown, env)
		}
	}
	if err := recovery.Complete(&proof, log, w.final.Size, log.Size, shown); err != nil {
		return err
	}
	c := w.chain()
	if err := c.Grow(&r.panel, log.Size, w.final.Size); err != nil {
		return err
	}
	l, err := tlog.NewLink(c, log, encode(w.t, &r.panel), w.cosigned(w.checkpoint(log, log.Size), r.panel.Seats), &proof)
	if err != nil {
		return err
	}
	b, err := l.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	if l, err = tlog.ParseLink(b); err != nil {
		w.t.Fatal(err)
	}
	return w.chain().Add(l)
}

// What the rules carry out a link can show, and nothing else can be shown: random
// rows are held against both.
func TestTheRulesAndTheLinkSayTheSame(t *testing.T) {
	w := newWorld(t)
	rng := rand.New(rand.NewPCG(20, 26))
	good, refused := 0, map[string]int{}
	for i := range 1200 {
		r := w.random(rng)
		yes, code := w.decided(r)
		var shown error
		for _, only := range []bool{false, true} {
			if shown = w.linked(r, only); shown == nil {
				break
			}
		}
		if yes != (shown == nil) && code != spec.CodeEnrolled {
			t.Fatalf("row %d: the rules say %v %s, the link: %v\n%+v", i, yes, code, shown, r.panel)
		}
		if yes {
			good++
		} else {
			refused[fmt.Sprint(spec.CodeOf(shown))]++
		}
	}
	t.Logf("%d rows good, others refused with %v", good, refused)
	if good < 200 || refused[string(spec.CodeRecovery)] < 400 || refused[string(spec.CodeSignature)] < 50 {
		t.Errorf("%d rows were good, others refused with %v: too few of a kind to say anything", good, refused)
	}
}
