// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/audit"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/media"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

func TestMain(m *testing.M) {
	media.RunChild()
	os.Exit(m.Run())
}

func sha(b byte) spec.Signal { return spec.Signal{Type: "sha256", Value: bytes.Repeat([]byte{b}, 32)} }

// history runs a consortium through listings, a refusal and a retraction, and
// returns the dump that an auditor fetched over HTTP.
func history(t *testing.T) ([]byte, *spec.Genesis) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	c, err := trial.Found(ctx, trial.Options{Dir: t.TempDir(), Members: 3, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop(context.Background()) })
	must := func(id spec.Hash, err error) spec.Hash {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	vote := func(m int, id spec.Hash, choice uint64) {
		if _, err := c.Members[m].Vote(ctx, api.Ballot{Case: id, Choice: choice}); err != nil {
			t.Fatal(err)
		}
	}
	propose := func(b byte) spec.Hash {
		return must(c.Members[0].Propose(ctx, api.Proposal{
			Items: []api.ProposalItem{{Labels: []string{"isil"}, Signals: []spec.Signal{sha(b), sha(b + 1)}}}, Basis: "designated-entity", Text: "as seen",
		}))
	}
	first := propose(1)
	vote(1, first, spec.Approve)
	vote(2, propose(3), spec.Approve)
	no := propose(5)
	vote(1, no, spec.Reject)
	vote(2, no, spec.Reject)
	dispute := must(c.Members[2].Dispute(ctx, api.Claim{Entry: spec.EntryID(first, 0), Reason: "lawful-content"}))
	vote(1, dispute, spec.Approve)
	size := c.Members[1].LogSize()
	err = trial.Await(ctx, func() (bool, error) { return c.Members[1].Final().Size >= size, nil })
	if err != nil {
		t.Fatal(err)
	}
	g, err := identity.LoadGenesis(c.Members[0].Dir)
	if err != nil {
		t.Fatal(err)
	}
	var dump bytes.Buffer
	get := func(_ context.Context, path string) ([]byte, error) {
		w := httptest.NewRecorder()
		c.Members[1].LogHandler().ServeHTTP(w, httptest.NewRequest("GET", "/"+path, nil))
		if w.Code != 200 {
			return nil, errors.New(w.Body.String())
		}
		return io.ReadAll(w.Body)
	}
	if err := audit.Export(ctx, g.Genesis, get, &dump, nil); err != nil {
		t.Fatal(err)
	}
	return dump.Bytes(), g.Genesis
}

// A part of a dump, found again without the reader that is tested.
type part struct {
	kind      byte
	from, end int // of its content
	leaf      uint64
	group     int
}

func parts(dump []byte) []part {
	var out []part
	leaf, group := uint64(0), 0
	for at := bytes.IndexByte(dump, '\n') + 1; at < len(dump); {
		p := part{kind: dump[at], from: at + 5, leaf: leaf, group: group}
		p.end = p.from + int(binary.BigEndian.Uint32(dump[at+1:]))
		if p.kind == 'l' {
			leaf++
			if spec.EndsGroup(dump[p.from:p.end]) {
				group++
			}
		}
		out, at = append(out, p), p.end
	}
	return out
}

func TestAnAuditRepeatsTheWholeHistory(t *testing.T) {
	dump, g := history(t)
	r, err := audit.Verify(t.Context(), bytes.NewReader(dump), audit.Options{Genesis: g})
	if err != nil {
		t.Fatal(err)
	}
	if r.Operations != 9 || r.Decisions != 4 || r.Entries != 1 || r.Signals != 2 || len(r.Cosigners) < 2 || r.Ticks == 0 || r.LiveRoot {
		t.Fatalf("the audit counts %+v", r)
	}
	t.Logf("%d bytes, %d leaves", len(dump), r.Leaves)

	ps := parts(dump)
	for at := 0; at < len(dump); at += 7 {
		bad := bytes.Clone(dump)
		bad[at] ^= 1 << (at % 8)
		_, err := audit.Verify(t.Context(), bytes.NewReader(bad), audit.Options{Genesis: g})
		if err == nil {
			t.Fatalf("byte %d is flipped, and the dump verifies", at)
		}
		for _, p := range ps {
			if p.kind != 'l' || at < p.from || at >= p.end {
				continue
			}
			if l, perr := spec.ParseLeaf(bad[p.from:p.end]); perr == nil && l.StateRoot != nil {
				if was, _ := spec.ParseLeaf(dump[p.from:p.end]); was.StateRoot.LiveRoot != l.StateRoot.LiveRoot {
					continue // attested: without the values nobody can compute it
				}
			}
			var w *audit.WrongError
			if !errors.As(err, &w) {
				t.Fatalf("byte %d, in leaf %d, is flipped: %v", at, p.leaf, err)
			}
			if q := ps[2+w.Leaf]; q.group != p.group || w.Leaf < p.leaf || w.Offset != int64(q.from-5) {
				t.Fatalf("byte %d, in leaf %d, is flipped: %v", at, p.leaf, err)
			}
		}
	}
	for _, cut := range []int{0, 5, len(dump) / 2, len(dump) - 1} {
		if _, err := audit.Verify(t.Context(), bytes.NewReader(dump[:cut]), audit.Options{Genesis: g}); spec.CodeOf(err) == "" {
			t.Fatalf("the first %d bytes: %v", cut, err)
		}
	}
	if _, err := audit.Verify(t.Context(), bytes.NewReader(append(bytes.Clone(dump), 'l')), audit.Options{}); err == nil {
		t.Fatal("a dump with something behind its end verifies")
	}
	other := *g
	other.Name = "another"
	if _, err := audit.Verify(t.Context(), bytes.NewReader(dump), audit.Options{Genesis: &other}); spec.CodeOf(err) != spec.CodeGenesis {
		t.Fatalf("against another genesis: %v", err)
	}
}

// What was changed is named by its field.
func TestTheWrongFieldIsNamed(t *testing.T) {
	dump, g := history(t)
	for _, p := range parts(dump) {
		if p.kind != 'l' {
			continue
		}
		l, err := spec.ParseLeaf(dump[p.from:p.end])
		if err != nil {
			t.Fatal(err)
		}
		want, b := "", bytes.Clone(dump)
		switch {
		case l.Decision != nil:
			d := *l.Decision
			d.Yes, d.No = d.No, d.Yes
			replace(t, b[p.from:p.end], &d)
			want = "the decision of case " + d.Case.String()[:16] + ": its approvals is not what the rules derive"
		case l.StateRoot != nil:
			s := *l.StateRoot
			s.RulesRoot[5] ^= 1
			replace(t, b[p.from:p.end], &s)
			want = "the root of the state: its rules_root is not what the rules derive"
		case l.Signed != nil && l.Signed.Op.Kind == spec.KindVote:
			b[p.end-1] ^= 1
			want = "vote " // … signed by …: the signature does not hold
		default:
			continue
		}
		_, err = audit.Verify(t.Context(), bytes.NewReader(b), audit.Options{Genesis: g})
		var w *audit.WrongError
		if !errors.As(err, &w) || w.Leaf != p.leaf || !bytes.Contains([]byte(w.Meaning), []byte(want)) {
			t.Errorf("leaf %d: %v\nwant %q", p.leaf, err, want)
		}
	}
}

func replace(t *testing.T, leaf []byte, v any) {
	t.Helper()
	b, err := spec.Encode(v)
	if err != nil || len(b) != len(leaf) {
		t.Fatalf("%d bytes for %d, %v", len(b), len(leaf), err)
	}
	copy(leaf, b)
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte("tocsin-log-1\ng\x00\x00\x00\x01\xa0"))
	f.Add([]byte("tocsin-log-1\n.\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := audit.Verify(t.Context(), bytes.NewReader(data), audit.Options{}); err == nil {
			t.Fatalf("a dump without cosignatures verifies: %+v", r)
		}
	})
}
