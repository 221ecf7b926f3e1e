// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// heavy opens as many of the largest additions as one raft entry lists, and returns the
// votes that list them, each a submission. No two rounds have a signal in common.
func heavy(t *testing.T, ctx context.Context, c *trial.Consortium, round int) (votes []spec.Submission) {
	t.Helper()
	last := craft(t, c.Members[2])
	last.seq += uint64(100 * round)
	for i := range 16 {
		p := api.Proposal{Items: []api.ProposalItem{{Labels: []string{"x"}}}, Basis: "test"}
		for j := range spec.MaxSignals {
			value := make([]byte, 16)
			binary.BigEndian.PutUint64(value, uint64(100*round+i+1))
			binary.BigEndian.PutUint64(value[8:], uint64(j+1))
			p.Items[0].Signals = append(p.Items[0].Signals, spec.Signal{Type: "md5", Value: value})
		}
		id, err := c.Members[0].Propose(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		approve(t, c.Members[1], id)
		env := last.sign(t, last.op(t, c.Members[2], &spec.Vote{Case: id, Choice: spec.Approve}))
		votes = append(votes, spec.Submission{Envelope: env})
	}
	return votes
}

// An operation that stands in one raft entry behind as much as may be listed at once is
// refused with BUSY by the rules. The node whose it is repeats the same bytes until they
// are taken.
func TestAnOperationThatFoundNoRoomIsRepeated(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 4, Sequence: []string{"alpha", "bravo", "charlie"}, Receipts: time.Hour})
	delta := c.Members[3]
	list(t, c, sha(1)) // from here on there is a time
	sub, err := delta.LeaveSent("key", proposalWith(sha(7), "key"))
	if err != nil {
		t.Fatal(err)
	}
	var full node.Verdict
	for round := 0; full.Code != spec.CodeBusy; round++ { // whoever leads may change in between
		votes := heavy(t, ctx, c, round)
		for _, m := range c.Members[:3] {
			got, err := m.Serve(ctx, append(votes, sub))
			if err != nil {
				t.Fatal(err)
			}
			full = got[len(votes)]
			if full.Code == "" && full.Outcome.ID == spec.LeafHash(sub.Envelope) {
				t.Fatalf("behind %d additions of %d signals it was taken: %+v", len(votes), spec.MaxSignals, full.Outcome)
			}
			if full.Code != spec.CodeNotLeader {
				break
			}
		}
	}
	var mu sync.Mutex
	var sent [][]byte
	delta.OnForward(func(subs []spec.Submission, pass func() ([]node.Verdict, error)) ([]node.Verdict, error) {
		mu.Lock()
		defer mu.Unlock()
		for _, s := range subs {
			sent = append(sent, append(s.Envelope, s.Opening...))
		}
		if len(sent) <= 2 {
			return []node.Verdict{full}, nil
		}
		return pass()
	})
	id, err := delta.Propose(ctx, proposalWith(sha(7), "key"))
	if err != nil {
		t.Fatal(err)
	}
	if id != spec.LeafHash(sub.Envelope) {
		t.Error("the case is another than that of the bytes that found no room")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(sent) < 3 {
		t.Errorf("it was sent %d times, and refused twice", len(sent))
	}
	for i, b := range sent {
		if !bytes.Equal(b, append(sub.Envelope, sub.Opening...)) {
			t.Errorf("attempt %d sent other bytes", i)
		}
	}
}
