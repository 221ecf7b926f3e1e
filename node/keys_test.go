// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// newKey makes a further key of a member, as `tocsin keys new` does, and starts its
// node again, which loads it.
func newKey(t *testing.T, ctx context.Context, c *trial.Consortium, m *trial.Participant, use uint64) *spec.KeyCard {
	t.Helper()
	card, err := identity.AddKey(m.Dir, use, rand.Reader)
	if err == nil && use == spec.UseCosign {
		err = cosign.CreateStore(m.Dir, card.Key)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Stop(ctx), c.Start(ctx, m)); err != nil {
		t.Fatal(err)
	}
	err = trial.Await(ctx, func() (bool, error) {
		return !slices.ContainsFunc(m.Ready(ctx), func(c api.Check) bool { return !c.OK }), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return card
}

// changeKey has a member ask for a change of keys and all others approve it.
func changeKey(t *testing.T, ctx context.Context, c *trial.Consortium, by *trial.Participant, k spec.KeyChange) (id spec.Hash) {
	t.Helper()
	id, err := by.Submit(ctx, "", func(text []byte) spec.Body { k.Text = text; return &k })
	if err != nil {
		t.Fatal(err)
	}
	var others []*trial.Participant
	for _, m := range c.Members {
		if m != by && m.ID != k.Org {
			others = append(others, m)
		}
	}
	if err := approveAll(ctx, id, others); err != nil {
		t.Fatal(err)
	}
	err = trial.Await(ctx, func() (bool, error) {
		got, err := others[0].Case(ctx, id, false)
		return got.State == "accepted", err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// The op key of a member was stolen, and whoever has it votes. A case puts a new key
// in its place: the running node signs with the new one from then on, the old one is
// refused, and what was decided with it since the theft is disputed everywhere, until
// the members rule on it.
func TestAStolenKeyIsReplaced(t *testing.T) {
	ctx, c := foundFor(t, 3*time.Minute, trial.Options{Members: 4})
	alpha, bravo, charlie, delta := c.Members[0], c.Members[1], c.Members[2], c.Members[3]
	card := newKey(t, ctx, c, alpha, spec.UseOp)
	thief := craft(t, alpha)
	listed := func(b byte, voters ...*trial.Participant) spec.Hash {
		t.Helper()
		id, err := bravo.Propose(ctx, api.Proposal{Items: []api.ProposalItem{{Labels: []string{"x"}, Signals: []spec.Signal{sha(b)}}}, Basis: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if err := approveAll(ctx, id, voters); err != nil {
			t.Fatal(err)
		}
		return id
	}
	listed(1, alpha, charlie) // by alpha itself, before the theft
	stolen := listed(2, charlie)
	steal := func(body spec.Body) (spec.Outcome, error) {
		return delta.Carry(ctx, spec.Submission{Envelope: thief.sign(t, thief.op(t, delta, body))})
	}
	theft, err := steal(&spec.Vote{Case: stolen, Choice: spec.Approve})
	if err != nil || theft.Code != "" {
		t.Fatalf("%+v, %v", theft, err)
	}
	for _, m := range c.Members {
		awaitMatches(t, ctx, m, sha(2), 1)
	}

	old := thief.id.Organisation.OpKey
	change := changeKey(t, ctx, c, bravo, spec.KeyChange{
		Org: "alpha", Use: spec.UseOp, New: []spec.PublicKey{card.Key}, Proof: []spec.Proof{card.Proof}, Old: []spec.PublicKey{old}, Since: theft.Index, Reason: "stolen",
	})
	if out, err := steal(&spec.Vote{Case: stolen, Choice: spec.Approve}); err != nil || out.Code != spec.CodeRevoked {
		t.Errorf("the old key afterwards: %+v, %v", out, err)
	}
	err = trial.Await(ctx, func() (bool, error) {
		got, err := alpha.Case(ctx, change, false)
		return got.State == "accepted", err
	})
	if err != nil {
		t.Fatalf("alpha's own node: %v", err)
	}
	if _, err := alpha.Propose(ctx, api.Proposal{Items: []api.ProposalItem{{Labels: []string{"x"}, Signals: []spec.Signal{sha(3)}}}, Basis: "test"}); err != nil {
		t.Errorf("the running node with the new key: %v", err)
	}
	var review spec.Hash
	for _, m := range c.Members {
		err := trial.Await(ctx, func() (bool, error) {
			cases, _, err := m.Cases(ctx, api.CaseFilter{State: "open", Kind: api.CaseDispute}, api.Page{Limit: 5})
			if len(cases) == 1 {
				review = cases[0].ID
			}
			return len(cases) == 1, err
		})
		if err != nil {
			t.Fatalf("%s: what the stolen key decided is not disputed: %v", m.ID, err)
		}
		if got := matches(t, m, sha(2)); len(got) != 1 || got[0].State != "disputed" {
			t.Errorf("%s: what the stolen key decided: %v", m.ID, got)
		}
		if got := matches(t, m, sha(1)); len(got) != 1 || got[0].State != "active" {
			t.Errorf("%s: what was decided before the theft: %v", m.ID, got)
		}
	}
	if err := approveAll(ctx, review, []*trial.Participant{alpha, charlie, delta}); err != nil {
		t.Fatal(err)
	}
	for _, m := range c.Members {
		awaitMatches(t, ctx, m, sha(2), 0)
		awaitMatches(t, ctx, m, sha(1), 1)
	}
}

// A sequencer's cosign key is exchanged while its node runs: the checkpoints that are
// final from then on carry the new one.
func TestACosignKeyIsExchanged(t *testing.T) {
	ctx, c := foundFor(t, 3*time.Minute, trial.Options{Members: 3})
	list(t, c, sha(1))
	charlie := c.Members[2]
	before, err := identity.Load(charlie.Dir)
	if err != nil {
		t.Fatal(err)
	}
	card := newKey(t, ctx, c, charlie, spec.UseCosign)
	changeKey(t, ctx, c, c.Members[0], spec.KeyChange{Org: "charlie", Use: spec.UseCosign, New: []spec.PublicKey{card.Key}, Proof: []spec.Proof{card.Proof}, Reason: "rotation"})
	if err := c.Members[1].Stop(ctx); err != nil { // two of three make final, so charlie must
		t.Fatal(err)
	}
	alpha := c.Members[0]
	id, err := alpha.Propose(ctx, api.Proposal{Items: []api.ProposalItem{{Labels: []string{"x"}, Signals: []spec.Signal{sha(2)}}}, Basis: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := approveAll(ctx, id, []*trial.Participant{charlie}); err != nil {
		t.Fatal(err)
	}
	size := alpha.LogSize()
	if err := trial.Await(ctx, func() (bool, error) { return alpha.Final().Size >= size, nil }); err != nil {
		t.Fatalf("nothing becomes final with the new key: %d of %d", alpha.Final().Size, size)
	}
	for key, want := range map[spec.PublicKey]bool{card.Key: true, before.Organisation.CosignKey: false} {
		if got := cosignedWith(t, alpha, "charlie", key); got != want {
			t.Errorf("the final checkpoint carries the key %x…: %v", key[:4], got)
		}
	}
}

// cosignedWith reports whether the checkpoint that a node serves carries a signature
// by this cosign key of an organisation.
func cosignedWith(t *testing.T, p *trial.Participant, org string, key spec.PublicKey) bool {
	t.Helper()
	g, err := identity.LoadGenesis(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	vkey := tlog.CosignerVerifierKey(g.Genesis.Origin(), spec.Seat{Org: org, Key: key})
	return signedBy(t, servedNote(p), vkey)
}

// A member's transport key is exchanged: its node starts again by itself and is
// reached under the new one, in raft too; whoever holds the old one is let in nowhere.
func TestATransportKeyIsExchanged(t *testing.T) {
	ctx, c := foundFor(t, 3*time.Minute, trial.Options{Members: 3})
	list(t, c, sha(1))
	alpha, bravo := c.Members[0], c.Members[1]
	before, err := identity.Load(bravo.Dir)
	if err != nil {
		t.Fatal(err)
	}
	card := newKey(t, ctx, c, bravo, spec.UseLibp2p)
	changeKey(t, ctx, c, alpha, spec.KeyChange{Org: "bravo", Use: spec.UseLibp2p, New: []spec.PublicKey{card.Key}, Proof: []spec.Proof{card.Proof}, Reason: "rotation"})
	next, err := p2p.IDFromPublicKey(card.Key[:])
	if err != nil {
		t.Fatal(err)
	}
	err = c.Settle(ctx, func() (bool, error) {
		for _, m := range c.Members {
			if m.PeerOf("bravo") != next {
				return false, nil
			}
		}
		ids := servers(alpha, c.Members)
		return slices.Equal(ids, []string{"alpha", "bravo", "charlie"}) && len(alpha.Servers()) == 3 && sees(ctx, alpha, "bravo"), nil
	})
	if err != nil {
		t.Fatalf("raft counts %v", alpha.Servers())
	}
	if err := c.Members[2].Stop(ctx); err != nil { // what is decided now needs bravo
		t.Fatal(err)
	}
	id, err := bravo.Propose(ctx, api.Proposal{Items: []api.ProposalItem{{Labels: []string{"x"}, Signals: []spec.Signal{sha(2)}}}, Basis: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := approveAll(ctx, id, []*trial.Participant{alpha}); err != nil {
		t.Fatal(err)
	}
	awaitMatches(t, ctx, bravo, sha(2), 1)

	host, err := p2p.NewHost(p2p.Config{Key: before.Libp2p, Directory: everybody{}})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	for _, to := range []*trial.Participant{alpha, bravo} {
		peer := alpha.PeerOf(to.ID)
		if err := host.AddPeer(peer, to.Addresses()); err != nil {
			t.Fatal(err)
		}
		if _, err := host.Call(ctx, peer, "/tocsin/log/1", []byte("checkpoint"), 1<<16); err == nil || strings.Contains(err.Error(), "deadline") {
			t.Errorf("the old key reaches %s: %v", to.ID, err)
		}
	}
}

// A node whose transport key was exchanged while it was away has all of that to apply
// yet when it comes back with the new one, among it entries from before. It does not
// take the old key, which its state still names, for a newer one and start again with
// every entry.
func TestANodeThatSwitchedItsKeyAheadCatchesUp(t *testing.T) {
	ctx, c := foundFor(t, 10*time.Minute, trial.Options{Members: 3})
	bravo := c.Members[1]
	card := newKey(t, ctx, c, bravo, spec.UseLibp2p)
	if err := bravo.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	alpha, charlie := c.Members[0], c.Members[2]
	if err := trial.Await(ctx, func() (bool, error) { return alpha.Leads() || charlie.Leads(), nil }); err != nil {
		t.Fatal(err)
	}
	id, err := alpha.Propose(ctx, api.Proposal{Items: []api.ProposalItem{{Labels: []string{"x"}, Signals: []spec.Signal{sha(1)}}}, Basis: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := approveAll(ctx, id, []*trial.Participant{charlie}); err != nil {
		t.Fatal(err)
	}
	changeKey(t, ctx, c, alpha, spec.KeyChange{Org: "bravo", Use: spec.UseLibp2p, New: []spec.PublicKey{card.Key}, Proof: []spec.Proof{card.Proof}, Reason: "rotation"})
	if err := identity.Switch(bravo.Dir, card.Key); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(ctx, bravo); err != nil {
		t.Fatal(err)
	}
	err = trial.Await(ctx, func() (bool, error) {
		select {
		case <-bravo.Done():
			return false, bravo.Err()
		default:
		}
		return bravo.LogSize() >= alpha.LogSize() && len(alpha.Servers()) == 3 && slices.Equal(servers(alpha, c.Members), []string{"alpha", "bravo", "charlie"}), nil
	})
	if err != nil {
		t.Fatalf("it does not catch up: %v", err)
	}
}

// everybody may connect.
type everybody struct{}

func (everybody) Role(p2p.PeerID) (string, bool) { return spec.RoleMember, true }
