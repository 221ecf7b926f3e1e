// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// crafted makes submissions by hand, with an organisation's own keys.
type crafted struct {
	id     *identity.Identity
	origin string
	seq    uint64
}

func craft(t *testing.T, p *trial.Participant) *crafted {
	t.Helper()
	id, err := identity.Load(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	st, err := p.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &crafted{id: id, origin: st.Origin, seq: 500}
}

func (c *crafted) op(t *testing.T, p *trial.Participant, body spec.Body) *spec.Op {
	t.Helper()
	op, err := spec.NewOp(body)
	if err != nil {
		t.Fatal(err)
	}
	st, err := p.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.seq++
	op.Org, op.Key, op.Seq, op.Epoch = c.id.Organisation.ID, c.id.Organisation.OpKey.ID(), c.seq, st.Epoch
	return op
}

func (c *crafted) sign(t *testing.T, op *spec.Op) []byte {
	t.Helper()
	env, err := spec.Sign(c.origin, op, c.id.Op)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func proposal(t *testing.T, s spec.Signal) (*spec.Proposal, []byte) {
	t.Helper()
	o := &spec.Opening{Signals: []spec.Opened{{Salt: [16]byte{1}, Signal: s}}, Texts: []spec.Text{{}, {}}}
	body := &spec.Proposal{
		Items: []spec.Item{{Counts: []spec.Count{{Type: s.Type, Count: 1}}}}, Root: spec.CommitmentRoot(o.Signals), Basis: "test",
	}
	enc, err := o.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return body, enc
}

// What no honest node would submit is refused with its code, at submission and,
// when the leader lets it through, by the rules on every node; nothing of it is
// left, and the consortium goes on.
func TestHostileSubmissionsAreRefused(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3, Receipts: time.Hour})
	if _, err := c.AddReader(ctx, "tango"); err != nil {
		t.Fatal(err)
	}
	alpha, reader := c.Members[0], c.Readers[0]
	open, err := alpha.Propose(ctx, api.Proposal{
		Items: []api.ProposalItem{{Labels: []string{"isil"}, Signals: []spec.Signal{sha(1)}}}, Basis: "designated-entity",
	})
	if err != nil {
		t.Fatal(err)
	}
	member, tango := craft(t, alpha), craft(t, reader)
	body, opening := proposal(t, sha(9))
	_, other := proposal(t, sha(8))
	vote := &spec.Vote{Case: open, Choice: spec.Approve}

	elsewhere := *member
	elsewhere.origin = "elsewhere/0123456789abcdef"
	forged := *member
	forged.id = &identity.Identity{Organisation: member.id.Organisation, Op: tango.id.Op}
	stranger := member.op(t, alpha, vote)
	stranger.Org = "nobody"
	early := member.op(t, alpha, vote)
	early.Epoch += 7
	used := member.op(t, alpha, vote)
	used.Seq = 1
	good := member.sign(t, member.op(t, alpha, body))
	altered := append([]byte(nil), good...)
	altered[len(altered)/2] ^= 1

	for name, x := range map[string]struct {
		sub  spec.Submission
		want spec.Code
	}{
		"forged":             {spec.Submission{Envelope: forged.sign(t, member.op(t, alpha, vote))}, spec.CodeSignature},
		"for another origin": {spec.Submission{Envelope: elsewhere.sign(t, member.op(t, alpha, vote))}, spec.CodeSignature},
		"of a stranger":      {spec.Submission{Envelope: member.sign(t, stranger)}, spec.CodeOrg},
		"of another epoch":   {spec.Submission{Envelope: member.sign(t, early)}, spec.CodeEpoch},
		"a used number":      {spec.Submission{Envelope: member.sign(t, used)}, spec.CodeReplayed},
		"before its case":    {spec.Submission{Envelope: member.sign(t, member.op(t, alpha, &spec.Vote{Case: spec.Hash{9}, Choice: spec.Approve}))}, spec.CodeCase},
		"a reader's vote":    {spec.Submission{Envelope: tango.sign(t, tango.op(t, reader, vote))}, spec.CodeRole},
		"without opening":    {spec.Submission{Envelope: good}, spec.CodeOpening},
		"another opening":    {spec.Submission{Envelope: good, Opening: other}, spec.CodeMismatch},
		"trailing bytes":     {spec.Submission{Envelope: append(append([]byte(nil), good...), 0), Opening: opening}, spec.CodeMalformed},
		"re-encoded length":  {spec.Submission{Envelope: reencoded(good), Opening: opening}, spec.CodeMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			size := alpha.LogSize()
			for _, via := range c.All() {
				refused(t, ctx, via.ID, x.sub, x.want, via.Carry)
			}
			for _, m := range c.Members {
				if m.Leads() {
					refused(t, ctx, "rules", x.sub, x.want, m.ProposeUnchecked)
				}
			}
			leaves, err := alpha.LeavesFrom(size)
			if err != nil || len(leaves) > 0 && !ticked(t, leaves) {
				t.Errorf("a refused operation left %d leaves, %v", len(leaves), err)
			}
		})
	}
	if out, err := alpha.Carry(ctx, spec.Submission{Envelope: altered, Opening: opening}); err == nil && out.Code == "" {
		t.Error("an altered operation was taken")
	}
	first, err := alpha.Carry(ctx, spec.Submission{Envelope: good, Opening: opening})
	if err != nil || first.Code != "" {
		t.Fatalf("after all that, a good operation: %+v, %v", first, err)
	}
	for _, via := range c.All() {
		again, err := via.Carry(ctx, spec.Submission{Envelope: good, Opening: opening})
		if err != nil || again != first {
			t.Errorf("the same operation again through %s: %+v, %v; first %+v", via.ID, again, err, first)
		}
	}
}

// ticked reports whether leaves are what a tick of log time leaves, and nothing else.
func ticked(t *testing.T, leaves [][]byte) (tick bool) {
	t.Helper()
	for _, b := range leaves {
		l, err := spec.ParseLeaf(b)
		if err != nil || l.Tick == nil && l.StateRoot == nil {
			return false
		}
		tick = tick || l.Tick != nil
	}
	return tick
}

// What a member sees on its own node it can vote on, though the leader, which tells
// others of a commit before it has applied it, is behind.
func TestAVoteOnWhatTheLeaderHasNotAppliedYet(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3, Profile: "wan"}) // which a busy machine takes no leader from
	lead, others := leaderOf(t, ctx, c)
	propose := func(by *trial.Participant, b byte) (spec.Hash, error) {
		return by.Propose(ctx, api.Proposal{Items: []api.ProposalItem{{Labels: []string{"x"}, Signals: []spec.Signal{sha(b)}}}, Basis: "test"})
	}
	before, err := propose(lead, 1) // from here on there is a time, and nothing is left to apply
	if err != nil {
		t.Fatal(err)
	}
	term := lead.Term()
	release, err := lead.HoldStore()
	if err != nil {
		t.Fatal(err)
	}
	proposed := make(chan error, 1)
	go func() {
		_, err := propose(others[0], 2)
		proposed <- err
	}()
	var seen spec.Hash
	err = trial.Await(ctx, func() (bool, error) {
		cases, _, err := others[1].Cases(ctx, api.CaseFilter{Mine: true}, api.Page{Limit: 3})
		for _, c := range cases {
			if c.ID != before {
				seen = c.ID
			}
		}
		return !seen.IsZero(), err
	})
	if err != nil {
		release()
		t.Fatal(err)
	}
	voted := make(chan error, 1)
	go func() {
		_, err := others[1].Vote(ctx, api.Ballot{Case: seen, Choice: spec.Approve})
		voted <- err
	}()
	select {
	case err := <-voted:
		if others[0].Term() == term { // else another leads by now, and has it
			t.Errorf("answered before the leader had the case: %v", err)
		}
		voted <- err
	case <-time.After(300 * time.Millisecond):
	}
	release()
	for _, done := range []chan error{proposed, voted} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A node that was started again may not know yet which sequence numbers it used: an
// operation whose number is taken is signed with another.
func TestANumberThatWasUsedIsNotUsedAgain(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3, Profile: "wan"}) // which a busy machine takes no leader from
	other, others := leaderOf(t, ctx, c)
	behind := others[0]
	if _, err := other.Propose(ctx, api.Proposal{Items: []api.ProposalItem{{Labels: []string{"x"}, Signals: []spec.Signal{sha(3)}}}, Basis: "test"}); err != nil {
		t.Fatal(err) // from here on there is a time
	}
	if err := trial.Await(ctx, func() (bool, error) { return behind.LogSize() == other.LogSize(), nil }); err != nil {
		t.Fatal(err)
	}
	early := craft(t, behind)
	early.seq = 0 // its first, as the node will number its own
	release, err := behind.HoldStore()
	if err != nil {
		t.Fatal(err)
	}
	body, opening := proposal(t, sha(1))
	sent, err := other.Carry(ctx, spec.Submission{Envelope: early.sign(t, early.op(t, other, body)), Opening: opening})
	if err != nil || sent.Code != "" {
		release()
		t.Fatalf("%+v, %v", sent, err)
	}
	proposed := make(chan error, 1)
	go func() {
		_, err := behind.Propose(ctx, api.Proposal{Items: []api.ProposalItem{{Labels: []string{"x"}, Signals: []spec.Signal{sha(2)}}}, Basis: "test"})
		proposed <- err
	}()
	err = trial.Await(ctx, func() (bool, error) {
		select {
		case err := <-proposed:
			return true, err
		default:
		}
		cases, _, err := other.Cases(ctx, api.CaseFilter{}, api.Page{Limit: 4})
		return len(cases) == 3, err
	})
	release()
	if err != nil {
		t.Fatalf("with a number that was used: %v", err)
	}
	if err := <-proposed; err != nil {
		t.Error(err)
	}
}

func refused(t *testing.T, ctx context.Context, via string, sub spec.Submission, want spec.Code, carry func(context.Context, spec.Submission) (spec.Outcome, error)) {
	t.Helper()
	out, err := carry(ctx, sub)
	if err != nil {
		t.Errorf("through %s: %v", via, err)
	} else if out.Code != want {
		t.Errorf("through %s: %q (%s), want %q", via, out.Code, out.Message, want)
	}
}

// reencoded writes the length of the operation inside an envelope in more bytes
// than it needs: the same object in another encoding.
func reencoded(env []byte) []byte {
	// 82 58 nn …: an array of two whose first element has a one-byte length.
	// 82 59 nn nn …: a two-byte length becomes a four-byte one.
	if env[1] == 0x58 {
		return append([]byte{env[0], 0x59, 0}, env[2:]...)
	}
	return append([]byte{env[0], 0x5a, 0, 0}, env[2:]...)
}
