// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"net/http/httptest"
	"testing"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// A reader that comes when there is a snapshot begins with it, answers what the
// members answer, and goes on by the log, with all that happens to entries from
// before.
func TestAReaderBeginsWithASnapshot(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3, Snapshots: 16})
	const n = 12
	var pair spec.Hash
	for i := range byte(n) {
		list(t, c, sha(i))
	}
	pair, err := c.Members[0].Propose(ctx, api.Proposal{
		Items: []api.ProposalItem{{Labels: []string{"isil"}, Signals: []spec.Signal{sha(100), sha(101)}}}, Basis: "designated-entity",
	})
	if err != nil {
		t.Fatal(err)
	}
	approve(t, c.Members[1], pair)
	for i := range byte(8) { // so that what is asked about lies before the snapshot
		list(t, c, sha(50+i))
	}
	keeping(t, ctx, c.Members...)
	reader, err := c.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	if reader.LogFirst() == 0 {
		t.Fatal("the reader replayed the log from the beginning")
	}
	for i := range byte(n) {
		awaitMatches(t, ctx, reader, sha(i), 1)
	}
	same := func(what string) {
		t.Helper()
		err := trial.Await(ctx, func() (bool, error) {
			return reader.LogSize() == c.Members[0].LogSize() && reader.LogRoot() == c.Members[0].LogRoot(), nil
		})
		if err != nil {
			t.Fatalf("%s: the logs differ: %v", what, err)
		}
		v, err := reader.VerifyStore(ctx)
		if err != nil || len(v.Bad) > 0 {
			t.Fatalf("%s: the reader's store: %+v, %v", what, v, err)
		}
	}
	same("after the snapshot")

	w := httptest.NewRecorder()
	reader.LogHandler().ServeHTTP(w, httptest.NewRequest("GET", "/tile/entries/000.p/1", nil))
	if w.Code != 410 {
		t.Fatalf("an old leaf: %d %s", w.Code, w.Body)
	}

	uphold := func(claim api.Claim) {
		t.Helper()
		dispute, err := c.Members[2].Dispute(ctx, claim)
		if err != nil {
			t.Fatal(err)
		}
		approve(t, c.Members[1], dispute)
	}
	uphold(api.Claim{Entry: matches(t, c.Members[0], sha(3))[0].Entry, Reason: "lawful-content"})
	awaitMatches(t, ctx, reader, sha(3), 0)
	same("after a retraction")
	uphold(api.Claim{Entry: spec.EntryID(pair, 0), Reason: "lawful-content", Signals: []uint64{1}})
	awaitMatches(t, ctx, reader, sha(101), 0)
	awaitMatches(t, ctx, reader, sha(100), 1)
	same("after one signal of two was retracted")

	if err := reader.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	list(t, c, sha(200))
	if err := c.Start(ctx, reader); err != nil {
		t.Fatal(err)
	}
	awaitMatches(t, ctx, reader, sha(200), 1)
	same("after a restart")
}
