// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// A member that lost what it once acknowledged does not come back as an empty one:
// it could help to elect a leader that lacks what was acknowledged, and it would
// answer "no match" for what is listed.
func TestMemberThatLostItsDataIsRefused(t *testing.T) {
	ctx, c := found(t, 3)
	alpha, bravo, charlie := c.Members[0], c.Members[1], c.Members[2]
	id, err := alpha.Propose(ctx, api.Proposal{
		Items: []api.ProposalItem{{Labels: []string{"isil"}, Signals: []spec.Signal{sha(1)}}}, Basis: "designated-entity",
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bravo.Vote(ctx, api.Ballot{Case: id, Choice: spec.Approve}); err != nil {
		t.Fatal(err)
	}
	awaitMatches(t, ctx, charlie, sha(1), 1)
	if err := trial.Await(ctx, func() (bool, error) { return charlie.Final().Size > 0, nil }); err != nil {
		t.Fatal(err)
	}
	if err := charlie.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	for _, lost := range [][]string{{"fsm", "raft"}, {"raft"}, {"fsm"}} {
		aside := t.TempDir()
		for _, name := range lost {
			move(t, filepath.Join(charlie.Dir, name), filepath.Join(aside, name))
		}
		if err := c.Start(ctx, charlie); spec.CodeOf(err) != spec.CodeCorrupt {
			t.Errorf("without %v: %v", lost, err)
		}
		for _, name := range lost {
			move(t, filepath.Join(aside, name), filepath.Join(charlie.Dir, name))
		}
	}
	if err := c.Start(ctx, charlie); err != nil {
		t.Fatalf("with all in place again: %v", err)
	}
	awaitMatches(t, ctx, charlie, sha(1), 1)
}

// move moves a directory, in the place of what may be there.
func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
