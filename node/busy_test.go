// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// An operation that found no room in its raft entry is answered with BUSY. The node whose
// it is repeats the same bytes until they are taken.
func TestAnOperationThatFoundNoRoomIsRepeated(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 4, Sequence: []string{"alpha", "bravo", "charlie"}, Receipts: time.Hour})
	delta := c.Members[3]
	list(t, c, sha(1)) // from here on there is a time
	sub, err := delta.LeaveSent("key", proposalWith(sha(7), "key"))
	if err != nil {
		t.Fatal(err)
	}
	full := node.Verdict{Code: spec.CodeBusy, Message: "the member that was asked: BUSY"}
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
