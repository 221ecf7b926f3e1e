// SPDX-License-Identifier: Apache-2.0

package governance_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A consortium is a ledger driven through the same doors as in a node, and a
// replica that replays what stands in the log and must come to the same bytes.
type consortium struct {
	t       testing.TB
	genesis *spec.Genesis
	ledger  *memory
	replica *memory
	keys    map[string]ed25519.PrivateKey // op key that each organisation signs with
	seq     map[string]uint64
	salt    uint64
	now     uint64
}

func keyOf(name string) ed25519.PrivateKey {
	h := sha256.Sum256([]byte(name))
	key := ed25519.NewKeyFromSeed(h[:])
	made.Store(spec.PublicKey(key.Public().(ed25519.PublicKey)), key)
	return key
}

// made holds the private half of every key of keyOf.
var made sync.Map // spec.PublicKey → ed25519.PrivateKey

func privateOf(key spec.PublicKey) ed25519.PrivateKey {
	v, _ := made.Load(key)
	return v.(ed25519.PrivateKey)
}

func publicOf(name string) spec.PublicKey {
	return spec.PublicKey(keyOf(name).Public().(ed25519.PublicKey))
}

// card makes "alpha member FR" an organisation.
func card(line string) spec.Organisation {
	f := append(strings.Fields(line), spec.RoleMember, "FR")
	if len(f) > 4 {
		f = f[:len(f)-2]
	}
	return spec.Organisation{
		ID: f[0], Name: f[0], Role: f[1], Jurisdiction: f[2],
		OpKey: publicOf(f[0] + " op"), CosignKey: publicOf(f[0] + " cosign"), Libp2pKey: publicOf(f[0] + " libp2p"),
	}
}

// found starts a consortium of organisations written as for card, with a first
// tick.
func found(t testing.TB, change func(*spec.Policy), lines ...string) *consortium {
	t.Helper()
	c := bare(t, change, lines...)
	c.tick(1000)
	return c
}

// bare is found before the first checkpoint is cosigned.
func bare(t testing.TB, change func(*spec.Policy), lines ...string) *consortium {
	t.Helper()
	g := &spec.Genesis{Version: spec.GenesisVersion, Name: "test", Policy: spec.DefaultPolicy()}
	if change != nil {
		change(&g.Policy)
	}
	c := &consortium{t: t, genesis: g, ledger: newMemory(), replica: newMemory(), keys: map[string]ed25519.PrivateKey{}, seq: map[string]uint64{}}
	for _, l := range lines {
		o := card(l)
		g.Organisations = append(g.Organisations, o)
		c.keys[o.ID] = keyOf(o.ID + " op")
	}
	slices.SortFunc(g.Organisations, func(a, b spec.Organisation) int { return strings.Compare(a.ID, b.ID) })
	for _, m := range []*memory{c.ledger, c.replica} {
		if err := governance.Init(m, g); err != nil {
			t.Fatal(err)
		}
	}
	c.enter(0)
	return c
}

// trio is alpha, bravo and charlie with one organisation of each other role.
func trio(t testing.TB) *consortium {
	return found(t, nil, "alpha member FR", "bravo member GB", "charlie member DE", "ngo auditor BE", "police referrer FR", "tango reader IE")
}

// op makes an operation as an honest node makes it.
func (c *consortium) op(org string, body spec.Body) *spec.Op {
	c.t.Helper()
	op, err := spec.NewOp(body)
	if err != nil {
		c.t.Fatalf("%T: %v", body, err)
	}
	key := spec.PublicKey(c.keys[org].Public().(ed25519.PublicKey))
	op.Org, op.Key, op.Epoch = org, key.ID(), c.clock().Epoch
	if op.Kind != spec.KindRecover {
		c.seq[org]++
		op.Seq, op.MadeMS = c.seq[org], c.now
	}
	return op
}

func (c *consortium) sign(op *spec.Op, key ed25519.PrivateKey) []byte {
	c.t.Helper()
	env, err := spec.Sign(c.genesis.Origin(), op, key)
	if err != nil {
		c.t.Fatal(err)
	}
	return env
}

func (c *consortium) clock() spec.Clock {
	var clock spec.Clock
	c.read(spec.ClockKey, &clock)
	return clock
}

// read decodes a record and reports whether there is one.
func (c *consortium) read(key []byte, out any) bool {
	c.t.Helper()
	b := c.ledger.records[string(key)]
	if b == nil {
		return false
	}
	if err := spec.Decode(b, out); err != nil {
		c.t.Fatal(err)
	}
	return true
}

// timed is a checkpoint of the log as it is that the panel in force cosigned at a
// time, in milliseconds of whole seconds; none for 0.
func (c *consortium) timed(ms uint64) *spec.Timed {
	if ms == 0 {
		return nil
	}
	c.t.Helper()
	panel, err := governance.PanelInForce(c.ledger)
	if err != nil || ms%1000 != 0 {
		c.t.Fatalf("no cosignatures at %d: %v", ms, err)
	}
	t := &spec.Timed{Size: c.ledger.Size(), Root: c.ledger.root()}
	for i, s := range panel.Panel.Seats[:panel.Panel.K] {
		t.Cosignatures = append(t.Cosignatures, cosign(c.genesis.Origin(), t, s, ms/1000+uint64(i)))
	}
	return t
}

// cosign is one cosignature of a seat.
func cosign(origin string, t *spec.Timed, s spec.Seat, unix uint64) spec.Cosignature {
	x := tlog.Cosign(tlog.Checkpoint{Origin: origin, Size: t.Size, Root: t.Root}, s.Org, privateOf(s.Key), unix)
	return spec.Cosignature{Org: s.Org, Time: unix, Sig: x.Sig}
}

// enter applies one raft entry to the ledger and its leaves to the replica. It
// begins with a tick to a time, if that is not 0.
func (c *consortium) enter(stamp uint64, subs ...spec.Submission) []spec.Outcome {
	c.t.Helper()
	return c.enterTimed(c.timed(stamp), subs...)
}

// enterTimed is enter with any checkpoint.
func (c *consortium) enterTimed(at *spec.Timed, subs ...spec.Submission) []spec.Outcome {
	c.t.Helper()
	parsed := make([]governance.Parsed, len(subs))
	for i := range subs {
		parsed[i] = governance.Parse(&subs[i])
		if err := governance.Verify(c.ledger, &parsed[i]); err != nil {
			c.t.Fatal(err)
		}
	}
	before := c.ledger.Size()
	out, err := governance.ApplyEntry(c.ledger, at, parsed)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.ledger.Size() > before {
		c.follow(before)
	}
	return out
}

// follow replays the leaves from index on.
func (c *consortium) follow(from uint64) {
	c.t.Helper()
	leaves := c.ledger.log[from:]
	if err := governance.Replay(c.replica, leaves, c.openings(leaves)); err != nil {
		c.t.Fatalf("the replica refuses the log: %v", err)
	}
	if a, b := c.ledger.dump(), c.replica.dump(); a != b {
		c.t.Fatalf("the replica differs:\n%s\n\n%s", a, b)
	}
}

// openings are those of the operations among leaves.
func (c *consortium) openings(leaves [][]byte) map[spec.Hash]*spec.Opening {
	out := map[spec.Hash]*spec.Opening{}
	for _, l := range leaves {
		if o := c.ledger.openings[spec.LeafHash(l)]; o != nil {
			out[spec.LeafHash(l)] = o
		}
	}
	return out
}

func submission(t testing.TB, env []byte, o *spec.Opening) spec.Submission {
	t.Helper()
	s := spec.Submission{Envelope: env}
	if o != nil {
		var err error
		if s.Opening, err = o.Encode(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// try submits a body and returns its outcome.
func (c *consortium) try(org string, body spec.Body, o *spec.Opening) spec.Outcome {
	c.t.Helper()
	return c.enter(0, submission(c.t, c.sign(c.op(org, body), c.keys[org]), o))[0]
}

// do submits a body that must be accepted and returns the operation's id.
func (c *consortium) do(org string, body spec.Body, o *spec.Opening) spec.Hash {
	c.t.Helper()
	out := c.try(org, body, o)
	if out.Code != "" {
		c.t.Fatalf("%s: %T refused with %s: %s", org, body, out.Code, out.Message)
	}
	return out.ID
}

// refuse submits a body that must be refused with a code and leave no trace.
func (c *consortium) refuse(want spec.Code, org string, body spec.Body, o *spec.Opening) {
	c.t.Helper()
	c.refuseOp(want, submission(c.t, c.sign(c.op(org, body), c.keys[org]), o))
}

// refuseOp is refuse for bytes, through both doors.
func (c *consortium) refuseOp(want spec.Code, s spec.Submission) {
	c.t.Helper()
	before := c.ledger.dump()
	p := governance.Parse(&s)
	if err := governance.Check(c.ledger, &p); spec.CodeOf(err) != want {
		c.t.Fatalf("Apply: %v (%s), want %s", err, spec.CodeOf(err), want)
	}
	out := c.enter(0, s)[0]
	if out.Code != want || out.Message == "" {
		c.t.Fatalf("ApplyEntry: %q (%s), want %s", out.Code, out.Message, want)
	}
	if c.ledger.dump() != before {
		c.t.Fatalf("an operation refused with %s left a trace", want)
	}
}

// tick moves log time by ms.
func (c *consortium) tick(ms uint64) {
	c.t.Helper()
	c.now += ms
	c.enter(c.now)
}

const (
	second = 1000
	hour   = 3600 * second
	day    = 24 * hour
)

// sha is a signal named after what it stands for.
func sha(name string) spec.Signal {
	h := sha256.Sum256([]byte(name))
	return spec.Signal{Type: "sha256", Value: h[:]}
}

// batch makes a proposal of items; each is the names of its sha256 signals.
func (c *consortium) batch(items ...string) (*spec.Proposal, *spec.Opening) {
	p, o := &spec.Proposal{Basis: "designated-entity"}, &spec.Opening{}
	for i, names := range items {
		f := strings.Fields(names)
		p.Items = append(p.Items, spec.Item{Labels: []string{"propaganda"}, Counts: []spec.Count{{Type: "sha256", Count: uint64(len(f))}}})
		for _, n := range f {
			o.Signals = append(o.Signals, spec.Opened{Salt: c.fresh(), Item: i, Signal: sha(n)})
		}
	}
	p.Root = spec.CommitmentRoot(o.Signals)
	o.Texts = make([]spec.Text, len(p.TextHashes()))
	return p, o
}

func (c *consortium) fresh() (salt [spec.SaltSize]byte) {
	c.salt++
	h := sha256.Sum256(fmt.Append(nil, "salt", c.salt))
	copy(salt[:], h[:])
	return salt
}

// propose opens an addition and returns its case.
func (c *consortium) propose(org string, items ...string) spec.Hash {
	c.t.Helper()
	p, o := c.batch(items...)
	return c.do(org, p, o)
}

func (c *consortium) vote(org string, id spec.Hash, choice uint64, except ...uint64) {
	c.t.Helper()
	c.do(org, &spec.Vote{Case: id, Choice: choice, Except: except}, nil)
}

// wantCase checks the outcome of a case by name.
func (c *consortium) wantCase(id spec.Hash, outcome string) spec.Case {
	c.t.Helper()
	var k spec.Case
	if !c.read(spec.CaseKey(id), &k) {
		c.t.Fatal("there is no such case")
	}
	if got := spec.OutcomeName(k.Outcome); got != outcome {
		c.t.Fatalf("the case is %s, want %s", got, outcome)
	}
	return k
}

// wantLive checks the states of the entries that list the signal of a name.
func (c *consortium) wantLive(name string, states ...string) {
	c.t.Helper()
	if got := c.ledger.matches(sha(name)); !slices.Equal(got, states) {
		c.t.Fatalf("%s matches entries %v, want %v", name, got, states)
	}
}

// wantEntry checks the state of an entry's record.
func (c *consortium) wantEntry(id spec.Hash, state string) spec.Entry {
	c.t.Helper()
	var e spec.Entry
	if !c.read(spec.EntryKey(id), &e) {
		c.t.Fatal("there is no such entry")
	}
	if got := spec.StateName(e.State); got != state {
		c.t.Fatalf("the entry is %s, want %s", got, state)
	}
	return e
}

func text(s string) spec.Text {
	return spec.Text{Salt: bytes.Repeat([]byte{7}, spec.SaltSize), Text: s}
}
