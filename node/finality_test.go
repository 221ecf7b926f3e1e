// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/cosign"
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
	approve(t, c.Members[1], id)
	return id
}

// approve has a member vote for a case as soon as it knows it.
func approve(t testing.TB, m *trial.Participant, id spec.Hash) {
	t.Helper()
	err := trial.Await(t.Context(), func() (bool, error) {
		_, err := m.Vote(t.Context(), api.Ballot{Case: id, Choice: spec.Approve})
		if spec.CodeOf(err) == spec.CodeCase {
			return false, nil
		}
		return true, err
	})
	if err != nil {
		t.Fatal(err)
	}
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
		err := trial.Await(ctx, func() (bool, error) {
			size := reader.LogSize()
			f := reader.Final()
			if size > f.Size {
				t.Fatalf("the reader shows %d leaves where %d are final", size, f.Size)
			}
			return f.Size == reader.LogSize() && f.Root == reader.LogRoot(), nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	panel := panelOf(t, reader)
	for _, p := range c.All() {
		if _, err := panel.OpenFinal(p.Final().Note); err != nil {
			t.Fatalf("%s: %v", p.ID, err)
		}
	}
	before := reader.Final().Size
	w := httptest.NewRecorder()
	reader.LogHandler().ServeHTTP(w, httptest.NewRequest("GET", "/checkpoint", nil))
	if s, err := panel.OpenFinal(w.Body.Bytes()); err != nil || s.Size < before || s.Size > reader.Final().Size {
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

// While too few sequencers cosign, members answer from what they applied and say
// what of it is not final; a reader does not show it.
func TestAnswersSayWhatIsFinal(t *testing.T) {
	began := time.Now()
	ctx, c := found(t, 5) // three make a majority of consensus, four make the log final
	reader, err := c.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	list3 := func(s spec.Signal) {
		t.Helper()
		id := list(t, c, s)
		if _, err := c.Members[2].Vote(ctx, api.Ballot{Case: id, Choice: spec.Approve}); err != nil {
			t.Fatal(err)
		}
	}
	list3(sha(1))
	awaitMatches(t, ctx, reader, sha(1), 1)
	for _, p := range c.Members[3:] {
		if err := p.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
	list3(sha(2))
	for _, p := range append(c.Members[:3:3], reader) {
		want := 2
		if p == reader {
			want = 1
		}
		var a api.MatchAnswer
		err := trial.Await(ctx, func() (bool, error) {
			a, err = p.Match(ctx, []spec.Signal{sha(1), sha(2)})
			return len(a.Matches) == want, err
		})
		if err != nil {
			t.Fatalf("%s: %v", p.ID, err)
		}
		for _, m := range a.Matches {
			if m.Final != (m.LogIndex < a.Final) || m.Final != (m.Entry == matches(t, reader, sha(1))[0].Entry) {
				t.Errorf("%s: the match %+v of %d leaves, %d final", p.ID, m, a.Size, a.Final)
			}
		}
		if a.Final > a.Size || p != reader && a.Final == a.Size || a.Age > time.Since(began)+2*time.Second || a.Stale != (a.Age > time.Minute) {
			t.Errorf("%s answers with %+v", p.ID, a.Freshness)
		}
	}
	if err := c.Start(ctx, c.Members[3]); err != nil {
		t.Fatal(err)
	}
	awaitMatches(t, ctx, reader, sha(2), 1)
	err = trial.Await(ctx, func() (bool, error) {
		m := matches(t, c.Members[0], sha(2))
		return len(m) == 1 && m[0].Final, nil
	})
	if err != nil {
		t.Fatal("what the reader shows is not final on a member")
	}
	if err := c.Start(ctx, c.Members[4]); err != nil {
		t.Fatal(err)
	}
}

func TestFreshness(t *testing.T) {
	now := time.Unix(1000, 0)
	at := func(size uint64, ago time.Duration) cosign.Final {
		return cosign.Final{Size: size, Time: now.Add(-ago)}
	}
	const none = time.Duration(-1)
	for name, c := range map[string]struct {
		final   cosign.Final
		follows bool
		contact time.Duration
		want    api.Freshness
	}{
		"a member ahead of what is final":        {at(7, 3*time.Second), false, 0, api.Freshness{Size: 9, Final: 7, Age: 3 * time.Second}},
		"a member behind what is final":          {at(12, time.Second), false, 0, api.Freshness{Size: 9, Final: 9, Age: time.Second}},
		"nothing was made final for long":        {at(7, time.Hour), false, 0, api.Freshness{Size: 9, Final: 7, Age: time.Hour, Stale: true}},
		"a clock that is behind":                 {at(9, -time.Second), false, 0, api.Freshness{Size: 9, Final: 9}},
		"nothing was ever final, the leader is":  {cosign.Final{}, false, time.Second, api.Freshness{Size: 9, Age: time.Second}},
		"nothing was ever final, nobody is":      {cosign.Final{}, false, none, api.Freshness{Size: 9, Stale: true}},
		"a reader on its way to what is final":   {at(7, time.Second), true, none, api.Freshness{Size: 9, Final: 9, Age: time.Second}},
		"a reader that has seen nothing final":   {cosign.Final{}, true, none, api.Freshness{Size: 9, Final: 9, Stale: true}},
		"a reader whose upstreams were silenced": {at(9, 61*time.Second), true, none, api.Freshness{Size: 9, Final: 9, Age: 61 * time.Second, Stale: true}},
	} {
		if got := node.FreshnessOf(9, c.final, now, c.follows, c.contact); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
