// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// list has the consortium list one signal.
func list(t testing.TB, c *trial.Consortium, s spec.Signal) spec.Hash {
	t.Helper()
	id, err := c.Members[0].Propose(t.Context(), api.Proposal{
		Items: []api.ProposalItem{{Labels: []string{"isil"}, Signals: []spec.Signal{s}}}, Basis: "designated-entity",
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Members[1].Vote(t.Context(), api.Ballot{Case: id, Choice: spec.Approve}); err != nil {
		t.Fatal(err)
	}
	return id
}

func panelOf(t *testing.T, p *trial.Participant) *tlog.Panel {
	t.Helper()
	g, err := identity.LoadGenesis(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	panel, err := tlog.GenesisPanel(g.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	return panel
}

// All that members applied becomes final; a reader has it, never more, and its
// checkpoint proves it to anyone with the genesis document.
func TestWhatIsDecidedBecomesFinal(t *testing.T) {
	ctx, c := found(t, 3)
	reader, err := c.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	for i := range byte(5) {
		list(t, c, sha(i))
		awaitMatches(t, ctx, reader, sha(i), 1)
		if f := reader.Final(); f.Size != reader.LogSize() || f.Root != reader.LogRoot() {
			t.Fatalf("the reader shows %d leaves where %d are final", reader.LogSize(), f.Size)
		}
	}
	panel := panelOf(t, reader)
	for _, p := range c.All() {
		if _, err := panel.OpenFinal(p.Final().Note); err != nil {
			t.Fatalf("%s: %v", p.ID, err)
		}
	}
	w := httptest.NewRecorder()
	reader.LogHandler().ServeHTTP(w, httptest.NewRequest("GET", "/checkpoint", nil))
	if s, err := panel.OpenFinal(w.Body.Bytes()); err != nil || s.Size != reader.Final().Size {
		t.Fatalf("over HTTP: %+v, %v", s, err)
	}
}

// A member that comes back without its store of cosigned checkpoints, as from a
// backup, follows the log and answers, but does not cosign; the others go on.
func TestAMemberFromABackupDoesNotCosign(t *testing.T) {
	ctx, c := found(t, 3)
	list(t, c, sha(1))
	charlie := c.Members[2]
	awaitMatches(t, ctx, charlie, sha(1), 1)
	if err := charlie.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(charlie.Dir, "cosigned")); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(ctx, charlie); err != nil {
		t.Fatal(err)
	}
	list(t, c, sha(2))
	size := c.Members[1].LogSize()
	err := trial.Await(ctx, func() (bool, error) { return charlie.Final().Size >= size, nil })
	if err != nil {
		t.Fatal(err)
	}
	awaitMatches(t, ctx, charlie, sha(2), 1)
	s, err := panelOf(t, charlie).OpenFinal(charlie.Final().Note)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range s.Cosignatures {
		if x.Org == charlie.ID {
			t.Fatal("the member cosigned")
		}
	}
	if err := charlie.MayCosign(); spec.CodeOf(err) != spec.CodeCorrupt {
		t.Fatalf("the member says %v", err)
	}
}
