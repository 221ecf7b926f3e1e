// SPDX-License-Identifier: Apache-2.0

package transparency

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

var update = flag.Bool("update", false, "write the golden files")

// A story puts leaves into a report as the rules would put them on the log.
type story struct {
	b  *Builder
	ms uint64
	n  byte
}

func newStory() *story {
	g := &spec.Genesis{Name: "story", Organisations: []spec.Organisation{
		{ID: "alpha", Role: spec.RoleMember}, {ID: "bravo", Role: spec.RoleMember}, {ID: "charlie", Role: spec.RoleMember},
		{ID: "police", Role: spec.RoleReferrer}, {ID: "rights", Role: spec.RoleAuditor},
	}}
	s := &story{b: New(g), ms: 1_700_000_000_000}
	s.b.report.Origin = "story/0123456789abcdef"
	s.after(0)
	return s
}

// after ticks with the cosignatures of alpha and bravo.
func (s *story) after(ms uint64) { s.tick(ms, "alpha", "bravo") }

func (s *story) tick(ms uint64, orgs ...string) {
	s.ms += ms
	t := &spec.Tick{TimeMS: s.ms}
	for _, org := range orgs {
		t.Checkpoint.Cosignatures = append(t.Checkpoint.Cosignatures, spec.Cosignature{Org: org})
	}
	s.b.Add(&spec.Leaf{Tick: t})
}

func (s *story) op(org string, body spec.Body) spec.Hash {
	s.n++
	id := spec.LeafHash([]byte{s.n})
	signed := &spec.Signed{ID: id, Body: body}
	signed.Op.Org = org
	s.b.Add(&spec.Leaf{Signed: signed})
	return id
}

func (s *story) decide(id spec.Hash, outcome uint64, excluded ...byte) {
	s.b.Add(&spec.Leaf{Decision: &spec.Decision{Case: id, Outcome: outcome, Excluded: excluded}})
}

func item(signals uint64, labels ...string) spec.Item {
	return spec.Item{Labels: labels, Counts: []spec.Count{{Type: "pdq", Count: signals}}}
}

// told is a history with everything that the report tells apart.
func told() *Report {
	s := newStory()
	first := s.op("alpha", &spec.Proposal{Items: []spec.Item{item(6, "isil", "video"), item(2, "isil")}})
	s.after(60_000)
	s.op("bravo", &spec.Vote{Case: first, Choice: spec.Approve})
	s.op("charlie", &spec.Vote{Case: first, Choice: spec.Approve})
	s.decide(first, spec.OutcomeAccepted, 2) // the second item is left out

	asked := s.op("police", &spec.Proposal{Items: []spec.Item{item(1, "manual")}, Urgency: spec.Urgent,
		Referral: []spec.Referral{{Form: spec.FormRemovalOrder, State: "FR"}}})
	s.tick(3_600_000, "alpha", "charlie")
	s.op("alpha", &spec.Vote{Case: asked, Choice: spec.Approve})
	s.op("bravo", &spec.Vote{Case: asked, Choice: spec.Reject})
	s.op("bravo", &spec.Vote{Case: asked, Choice: spec.Approve}) // it changed its mind
	s.op("charlie", &spec.Vote{Case: asked, Choice: spec.Reject})
	s.decide(asked, spec.OutcomeAccepted)

	over := s.op("rights", &spec.Dispute{Entry: spec.EntryID(asked, 0)})
	part := s.op("charlie", &spec.Dispute{Entry: spec.EntryID(first, 0), Signals: []uint64{0}})
	s.after(7_200_000)
	s.op("alpha", &spec.Vote{Case: over, Choice: spec.Abstain})
	s.op("bravo", &spec.Vote{Case: over, Choice: spec.Approve})
	s.op("charlie", &spec.Vote{Case: over, Choice: spec.Approve})
	s.decide(over, spec.OutcomeAccepted)
	s.decide(part, spec.OutcomeAccepted)
	s.b.Add(&spec.Leaf{Notice: &spec.Notice{What: spec.NoticeDispute, Level: 1, Orgs: []string{"alpha", "charlie"}}})
	s.b.Add(&spec.Leaf{Notice: &spec.Notice{What: spec.NoticeDispute, Level: 2, Orgs: []string{"alpha"}}})

	lapsed := s.op("bravo", &spec.Proposal{Items: []spec.Item{item(3, "isil")}, Urgency: spec.Urgent})
	s.after(86_400_000)
	s.decide(lapsed, spec.OutcomeLapsed)
	no := s.op("bravo", &spec.Proposal{Items: []spec.Item{item(1, "manual"), item(1)}})
	s.decide(no, spec.OutcomeRejected)
	s.op("charlie", &spec.Proposal{Items: []spec.Item{item(4, "video")}})
	s.b.Add(&spec.Leaf{Panel: &spec.Panel{Number: 1, K: 2, Seats: []spec.Seat{{Org: "bravo"}, {Org: "delta"}}}})
	s.b.Add(&spec.Leaf{StateRoot: &spec.StateRoot{TimeMS: s.ms}})
	s.tick(0, "bravo", "delta")
	return s.b.Report()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
}

// The same log gives the same bytes: those that are kept here.
func TestAStoryIsReported(t *testing.T) {
	r := told()
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "story.json", append(b, '\n'))
	plots := r.Plots()
	golden(t, "story.md", []byte(r.Markdown(plots)))
	for _, p := range plots {
		golden(t, p.File, p.SVG)
		d := xml.NewDecoder(bytes.NewReader(p.SVG))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", p.File, err)
			}
		}
		if !bytes.Contains(p.SVG, []byte("<desc")) || p.Alternative == "" {
			t.Errorf("%s has no alternative in words", p.File)
		}
	}
}

// What the story is meant to show, in numbers worked out by hand.
func TestTheFiguresOfTheStory(t *testing.T) {
	r := told()
	total := Items{Proposals: 5, Items: 7, Signals: 18, Listed: 2, LeftOut: 1, Rejected: 2, Lapsed: 1, Open: 1, Overturned: 1}
	if r.Total != total {
		t.Errorf("in total %+v, want %+v", r.Total, total)
	}
	if r.Disputes.ErrorPPM != 500_000 || r.Disputes.Cases.Cases != 2 || r.Disputes.Accepted != 2 {
		t.Errorf("disputes %+v", r.Disputes)
	}
	if want := (Cases{Cases: 2, Accepted: 1, Lapsed: 1}); r.Urgent != want {
		t.Errorf("urgent %+v", r.Urgent)
	}
	if want := (Times{4, 60_000, 86_400_000, 86_400_000}); r.Decisions != want {
		t.Errorf("decisions took %+v", r.Decisions)
	}
	if want := (Times{2, 7_200_000, 7_200_000, 7_200_000}); r.Rulings != want {
		t.Errorf("rulings took %+v", r.Rulings)
	}
	pairs := fmt.Sprint(r.Agreement)
	if pairs != "[{alpha bravo 1 1} {alpha charlie 1 0} {bravo charlie 3 2}]" {
		t.Errorf("agreement %s", pairs)
	}
	if got := fmt.Sprint(r.Notices); got != "[{alpha overdue dispute 1 1} {charlie overdue dispute 1 0}]" {
		t.Errorf("notices %s", got)
	}
	if got := fmt.Sprint(r.Cosigned); got != "[{alpha 5 0} {bravo 5 1} {charlie 1 4} {delta 1 0}]" {
		t.Errorf("cosignatures in ticks %s", got)
	}
	if got := fmt.Sprint(r.ByReferral[1].Name, r.ByReferral[1].Overturned); got != "removal order of FR1" {
		t.Errorf("referrals %+v", r.ByReferral)
	}
	if md := r.Markdown(nil); !strings.Contains(md, "| removal order of FR | 1 | 1 | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 1 |") || !strings.Contains(md, "overturned 1 (50.00 %)") {
		t.Errorf("in words:\n%s", md)
	}
}

func (i *Items) sum(x Items) {
	i.Proposals, i.Items, i.Signals, i.Listed, i.LeftOut = i.Proposals+x.Proposals, i.Items+x.Items, i.Signals+x.Signals, i.Listed+x.Listed, i.LeftOut+x.LeftOut
	i.Rejected, i.Lapsed, i.Withdrawn, i.Moot, i.Open, i.Overturned = i.Rejected+x.Rejected, i.Lapsed+x.Lapsed, i.Withdrawn+x.Withdrawn, i.Moot+x.Moot, i.Open+x.Open, i.Overturned+x.Overturned
}

// Whatever happened, the origins add up to the total, the outcomes to the items, and
// nobody agrees more often than both voted.
func TestOriginsAddUp(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := newStory()
		orgs := []string{"alpha", "bravo", "charlie", "police", "rights", "stranger"}
		var cases []spec.Hash
		for range 60 {
			org := orgs[r.IntN(len(orgs))]
			switch r.IntN(5) {
			case 0, 1:
				p := &spec.Proposal{Urgency: uint64(r.IntN(2))}
				for range 1 + r.IntN(3) {
					p.Items = append(p.Items, item(uint64(r.IntN(9)), []string{"a", "b", "c"}[:r.IntN(4)]...))
				}
				if r.IntN(3) == 0 {
					p.Referral = []spec.Referral{{Form: 1 + uint64(r.IntN(3)), State: "FR"}}
				}
				cases = append(cases, s.op(org, p))
			case 2:
				if len(cases) > 0 {
					cases = append(cases, s.op(org, &spec.Dispute{Entry: spec.EntryID(cases[r.IntN(len(cases))], r.IntN(2))}))
				}
			case 3:
				if len(cases) > 0 {
					s.op(org, &spec.Vote{Case: cases[r.IntN(len(cases))], Choice: 1 + uint64(r.IntN(3))})
				}
			case 4:
				s.after(uint64(r.IntN(1e6)))
				if len(cases) > 0 {
					s.decide(cases[r.IntN(len(cases))], 1+uint64(r.IntN(5)), byte(r.IntN(8)))
				}
			}
		}
		report := s.b.Report()
		for name, rows := range map[string][]Items{"organisation": report.ByOrganisation, "role": report.ByRole, "referral": report.ByReferral} {
			var sum Items
			for _, x := range rows {
				sum.sum(x)
			}
			if sum != report.Total {
				t.Errorf("seed %d, by %s: %+v, in total %+v", seed, name, sum, report.Total)
			}
		}
		for _, x := range append(report.ByLabel, report.Total) {
			if x.Listed+x.LeftOut+x.Rejected+x.Lapsed+x.Withdrawn+x.Moot+x.Open != x.Items || x.Overturned > x.Listed {
				t.Errorf("seed %d: the outcomes of %+v do not add up", seed, x)
			}
		}
		for _, x := range report.Cosigned {
			if x.Stood+x.LeftOut != report.Cosigned[0].Stood+report.Cosigned[0].LeftOut {
				t.Errorf("seed %d: of one panel not all sat through the same ticks: %+v", seed, report.Cosigned)
			}
		}
		for _, p := range report.Agreement {
			if p.Same > p.Both || p.A >= p.B {
				t.Errorf("seed %d: %+v", seed, p)
			}
		}
	}
}
