// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/audit"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/recovery"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/spec/tlog/receipt"
)

// A loss is a consortium of six members, of which alpha, bravo and charlie sequenced,
// with a reader. bravo and charlie are gone; alpha holds an addition that bravo
// acknowledged and nobody made final.
type loss struct {
	*trial.Consortium
	t      *testing.T
	ctx    context.Context
	reader *trial.Participant
	by     map[string]*trial.Participant
	entry  spec.Hash // listed before, and final
	lost   spec.Hash // the addition that is not final
}

func lose(t *testing.T) *loss {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("TRIAL_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	c, err := trial.Found(ctx, trial.Options{
		Dir: t.TempDir(), Members: 6, Sequence: []string{"alpha", "bravo", "charlie"}, Logger: log,
		Fatal: func(who string, err error) { t.Errorf("the node of %s failed: %v", who, err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop(context.Background()) })
	l := &loss{Consortium: c, t: t, ctx: ctx, by: map[string]*trial.Participant{}}
	for _, m := range c.Members {
		l.by[m.ID] = m
	}
	if l.reader, err = c.AddReader(ctx, "tango"); err != nil {
		t.Fatal(err)
	}
	alpha, bravo, charlie := l.by["alpha"], l.by["bravo"], l.by["charlie"]
	l.entry = spec.EntryID(l.list(1, "alpha", "bravo", "charlie", "delta"), 0)
	l.await("all is final", func() bool {
		size := alpha.LogSize()
		return alpha.Final().Size == size && l.by["delta"].LogSize() == size && l.reader.LogSize() == size && bravo.LogSize() == size
	})
	l.stop(charlie)
	l.stop(bravo)
	aside := filepath.Join(t.TempDir(), "cosigned")
	move(t, filepath.Join(bravo.Dir, "cosigned"), aside)
	if err := c.Start(ctx, bravo); err != nil { // it votes, and cosigns nothing
		t.Fatal(err)
	}
	final := alpha.Final().Size
	if l.lost, err = alpha.Propose(ctx, proposalOf(9)); err != nil {
		t.Fatal(err)
	}
	l.await("alpha cosigned what bravo did not", func() bool { return mark(t, alpha).Size > final && bravo.LogSize() > final })
	l.stop(bravo)
	move(t, aside, filepath.Join(bravo.Dir, "cosigned"))
	if got := alpha.Final().Size; got >= alpha.LogSize() {
		t.Fatalf("all of %d leaves is final", got)
	}
	return l
}

func proposalOf(n byte) api.Proposal {
	return api.Proposal{Items: []api.ProposalItem{{Labels: []string{"x"}, Signals: []spec.Signal{sha(n)}}}, Basis: "test"}
}

// mark is what a node cosigned last, read beside it.
func mark(t *testing.T, p *trial.Participant) cosign.Mark {
	t.Helper()
	id, err := identity.Load(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := cosign.OpenStore(cosign.StorePath(p.Dir, id.Organisation.CosignKey), id.Organisation.CosignKey, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return s.Mark()
}

func (l *loss) await(what string, ok func() bool) {
	l.t.Helper()
	if err := trial.Await(l.ctx, func() (bool, error) { return ok(), nil }); err != nil {
		for _, p := range l.All() {
			if p.MayCosign() == nil {
				l.t.Logf("%s: mark %+v", p.ID, mark(l.t, p))
			}
			l.t.Logf("%s: log %d, final %d, panel %v, may cosign: %v", p.ID, p.LogSize(), p.Final().Size, p.Panel(), p.MayCosign())
		}
		l.t.Fatalf("%s: %v", what, err)
	}
}

func (l *loss) stop(p *trial.Participant) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.ctx, 5*time.Minute)
	defer cancel()
	if err := p.Stop(ctx); err != nil && ctx.Err() == nil {
		l.t.Fatal(err)
	}
}

// list has an addition proposed and approved by those named.
func (l *loss) list(n byte, by ...string) spec.Hash {
	l.t.Helper()
	id, err := l.by[by[0]].Propose(l.ctx, proposalOf(n))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, org := range by[1:] {
		l.await(org+" knows the case", func() bool {
			_, err := l.by[org].Case(l.ctx, id, false)
			return err == nil
		})
		if _, err := l.by[org].Vote(l.ctx, api.Ballot{Case: id, Choice: spec.Approve}); err != nil {
			l.t.Fatal(err)
		}
	}
	return id
}

// freshKey makes another cosign key, as tocsin keys new does.
func freshKey(t *testing.T, p *trial.Participant) spec.PublicKey {
	t.Helper()
	card, err := identity.AddKey(p.Dir, spec.UseCosign, rand.Reader)
	if err == nil {
		err = cosign.CreateStore(p.Dir, card.Key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return card.Key
}

func (l *loss) wantCode(what string, err error, want spec.Code) {
	l.t.Helper()
	if spec.CodeOf(err) != want {
		l.t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// apply applies a recovery on nodes that are stopped for it, and starts them again.
func (l *loss) apply(file []byte, orgs ...string) map[string]*node.Recovered {
	l.t.Helper()
	out := map[string]*node.Recovered{}
	for _, org := range orgs {
		l.stop(l.by[org])
		r, err := node.ApplyRecovery(l.ctx, node.RecoverConfig{Dir: l.by[org].Dir, Recovery: file})
		if err != nil {
			l.t.Fatalf("%s: %v", org, err)
		}
		out[org] = r
	}
	for _, org := range orgs {
		if err := l.Start(l.ctx, l.by[org]); err != nil {
			l.t.Fatal(err)
		}
	}
	return out
}

// Two of three sequencers are lost for good, and the third cosigned what nobody made
// final. Four of six members go on with other sequencers; a reader, a receipt's holder
// and an auditor follow from the genesis document; those who were lost come back and
// can make nothing final.
func TestMembersRecoverALostQuorum(t *testing.T) {
	l := lose(t)
	alpha, delta := l.by["alpha"], l.by["delta"]
	from := alpha.Final().Size
	seats := []spec.Seat{{Org: "alpha"}, {Org: "delta"}, {Org: "echo"}}
	file, err := delta.DraftRecovery(l.ctx, seats)
	if err != nil {
		t.Fatal(err)
	}
	_, err = alpha.SignRecovery(l.ctx, file)
	l.wantCode("with the key that cosigned something beyond", err, spec.CodeForked)
	seats[0].Key = freshKey(t, alpha)
	l.stop(alpha) // it learns of the key at a start
	if err := l.Start(l.ctx, alpha); err != nil {
		t.Fatal(err)
	}
	if file, err = delta.DraftRecovery(l.ctx, seats); err != nil {
		t.Fatal(err)
	}
	l.refuseForged(file)
	for _, org := range []string{"echo", "alpha", "delta"} {
		if file, err = l.by[org].SignRecovery(l.ctx, file); err != nil {
			t.Fatalf("%s: %v", org, err)
		}
	}
	_, err = alpha.SignRecovery(l.ctx, file)
	l.wantCode("signed twice", err, spec.CodePending)
	l.stop(delta)
	_, err = node.ApplyRecovery(l.ctx, node.RecoverConfig{Dir: delta.Dir, Recovery: file})
	l.wantCode("three of six", err, spec.CodeRecovery)
	if err := l.Start(l.ctx, delta); err != nil { // as if nothing had been
		t.Fatal(err)
	}
	l.stop(l.by["foxtrot"])
	if file, err = node.SignRecoveryFiles(l.by["foxtrot"].Dir, file); err != nil {
		t.Fatal(err)
	}
	if err := l.Start(l.ctx, l.by["foxtrot"]); err != nil {
		t.Fatal(err)
	}
	done := l.apply(file, "alpha", "delta", "echo")
	for org, r := range done {
		if r.From != from || r.Size != from+6 || r.Root != done["alpha"].Root || !r.Sequences {
			t.Errorf("%s: %+v", org, r)
		}
	}
	if r := done["alpha"]; !slices.Contains(r.Lost, l.lost) || r.Discarded == 0 || r.Aside == "" || len(done["delta"].Lost) != 0 {
		t.Errorf("alpha lost %+v, delta %+v", r, done["delta"])
	}
	l.await("the new panel makes it final", func() bool { return alpha.Final().Size >= from+6 && delta.Final().Size >= from+6 })
	listed := l.list(7, "delta", "alpha", "echo", "foxtrot")
	l.await("the reader matches it", func() bool {
		a, err := l.reader.Match(l.ctx, []spec.Signal{sha(7)})
		return err == nil && len(a.Matches) == 1
	})
	if _, err := alpha.Case(l.ctx, l.lost, false); err == nil {
		t.Error("what was not final survived")
	}
	l.followed(l.reader, spec.EntryID(listed, 0))
	l.comeBack(from)
}

// refuseForged has a member sign what goes on from elsewhere.
func (l *loss) refuseForged(file []byte) {
	l.t.Helper()
	for name, x := range map[string]struct {
		want  spec.Code
		forge func(f *recovery.File)
	}{
		"from what is not final": {spec.CodeRecovery, func(f *recovery.File) { f.Body.Size = l.by["alpha"].LogSize(); f.Body.Root = l.by["alpha"].LogRoot() }},
		"from another root":      {spec.CodeRecovery, func(f *recovery.File) { f.Body.Root[0] ^= 1 }},
		"from a note that few cosigned": {spec.CodeNotFinal, func(f *recovery.File) {
			text, signatures, _ := bytes.Cut(f.Note, []byte("\n\n"))
			lines := bytes.SplitAfter(signatures, []byte("\n")) // the log's and at least two cosigners'
			f.Note = slices.Concat(text, []byte("\n\n"), lines[0], lines[1])
		}},
		"of another epoch":    {spec.CodeRecovery, func(f *recovery.File) { f.Body.Epoch++ }},
		"with a reader":       {spec.CodePolicy, func(f *recovery.File) { f.Body.Seats[2].Org = "tango" }},
		"with who is nowhere": {spec.CodePolicy, func(f *recovery.File) { f.Body.Seats[2].Org = "zulu" }},
	} {
		f, err := recovery.Parse(file)
		if err != nil {
			l.t.Fatal(err)
		}
		x.forge(f)
		forged, err := f.Marshal()
		if err != nil {
			l.t.Fatal(err)
		}
		_, err = l.by["delta"].SignRecovery(l.ctx, forged)
		l.wantCode(name, err, x.want)
	}
}

// followed verifies a receipt and the whole history from the genesis document alone.
func (l *loss) followed(from *trial.Participant, entry spec.Hash) {
	l.t.Helper()
	g, err := identity.LoadGenesis(l.by["alpha"].Dir)
	if err != nil {
		l.t.Fatal(err)
	}
	s := sha(7)
	b, err := from.Receipt(l.ctx, entry, &s)
	if err != nil {
		l.t.Fatal(err)
	}
	v, err := receipt.NewVerifier(g.Genesis)
	if err != nil {
		l.t.Fatal(err)
	}
	fact, err := v.Verify(b)
	if err != nil || len(fact.Cosigners) < 2 || slices.Contains(fact.Cosigners, "bravo") {
		l.t.Errorf("the receipt says %+v, %v", fact, err)
	}
	r, err := receipt.Parse(b)
	var proof tlog.Recovery
	if err == nil {
		err = spec.Decode(r.Links[0].Recovery, &proof)
	}
	if err == nil {
		proof.Ops = proof.Ops[1:]
		r.Links[0].Recovery, err = spec.Encode(&proof)
	}
	if err != nil || len(r.Links) != 1 {
		l.t.Fatalf("the receipt shows no recovery: %v", err)
	}
	if short, err := r.Encode(); err != nil {
		l.t.Fatal(err)
	} else if _, err := v.Verify(short); spec.CodeOf(err) != spec.CodeRecovery {
		l.t.Errorf("a receipt with a recovery by too few: %v", err)
	}
	var dump bytes.Buffer
	get := func(_ context.Context, path string) ([]byte, error) {
		w := httptest.NewRecorder()
		from.LogHandler().ServeHTTP(w, httptest.NewRequest("GET", "/"+path, nil))
		if w.Code != 200 {
			return nil, errors.New(w.Body.String())
		}
		return io.ReadAll(w.Body)
	}
	if err := audit.Export(l.ctx, g.Genesis, get, &dump, nil); err != nil {
		l.t.Fatal(err)
	}
	report, err := audit.Verify(l.ctx, &dump, audit.Options{Genesis: g.Genesis})
	if err != nil || len(report.Cosigners) < 2 || slices.Contains(report.Cosigners, "charlie") {
		l.t.Errorf("the audit says %+v, %v", report, err)
	}
}

// comeBack starts the sequencers that were lost, who are enough of the panel that
// they know to make things final.
func (l *loss) comeBack(from uint64) {
	l.t.Helper()
	bravo, charlie := l.by["bravo"], l.by["charlie"]
	for _, p := range []*trial.Participant{bravo, charlie} {
		if err := l.Start(l.ctx, p); err != nil {
			l.t.Fatal(err)
		}
	}
	l.await("they learn of the recovery", func() bool {
		return slices.Equal(bravo.Panel(), l.by["alpha"].Panel()) && slices.Equal(charlie.Panel(), l.by["alpha"].Panel())
	})
	l.list(8, "delta", "alpha", "echo", "foxtrot")
	l.await("the others go on", func() bool {
		a, err := l.reader.Match(l.ctx, []spec.Signal{sha(8)})
		return err == nil && len(a.Matches) == 1
	})
	for _, p := range []*trial.Participant{bravo, charlie} {
		if got := p.Final(); got.Size > from {
			l.t.Errorf("%s made %d leaves final, or follows without having taken its database back", p.ID, got.Size)
		}
	}
	l.await("bravo, whose log went on, may not cosign", func() bool { return spec.CodeOf(bravo.MayCosign()) == spec.CodeForked })
}
