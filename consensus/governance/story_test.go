// SPDX-License-Identifier: Apache-2.0

package governance_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/spec"
)

// TestStories tells every story of testdata and compares what is said; -rewrite
// writes it anew. Every step also runs on a replica, as in all tests here.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &story{names: map[string]spec.Hash{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return s.step(t, d)
		})
	})
}

// A story is a consortium with names for its cases and keys.
type story struct {
	*consortium
	names map[string]spec.Hash
}

func (s *story) step(t *testing.T, d *datadriven.TestData) string {
	if s.consortium != nil {
		s.consortium.t = t
	}
	switch d.Cmd {
	case "found":
		return s.found(t, d)
	case "tick":
		s.now += span(t, d.CmdArgs[0].Key)
		before := s.ledger.Size()
		s.enter(s.now)
		return s.leaves(before)
	case "checkpoint":
		return s.checkpoint(d)
	case "panel":
		return s.panel()
	case "recover":
		return s.recover(d)
	case "show":
		return s.show(d)
	case "entries":
		return s.entries(d)
	case "match":
		return s.match(d)
	case "sequencers":
		ids, err := governance.Sequencers(s.ledger)
		if err != nil {
			t.Fatal(err)
		}
		p := s.policy()
		return fmt.Sprintf("%s; %d cosignatures are final\n", strings.Join(ids, " "), p.Finality(len(ids)))
	case "tier-of":
		return s.tierOf(d)
	case "marks":
		return s.marks()
	case "sign-with":
		for _, a := range d.CmdArgs {
			s.keys[a.Key] = keyOf(a.Vals[0])
		}
		return ""
	}
	return s.submit(d)
}

func (s *story) found(t *testing.T, d *datadriven.TestData) string {
	*s = story{names: map[string]spec.Hash{}}
	lines := strings.Split(strings.TrimSpace(d.Input), "\n")
	start := found
	if d.HasArg("no-tick") {
		start = bare
	}
	s.consortium = start(t, func(p *spec.Policy) { adjust(t, p, d) }, lines...)
	return fmt.Sprintf("%d organisations, %d members\n", len(lines), s.clock().Members)
}

// tierOf reads what the state says of an organisation's tier.
func (s *story) tierOf(d *datadriven.TestData) string {
	b, err := s.ledger.Record(spec.OrgKey(d.CmdArgs[0].Key))
	var r spec.OrgRecord
	if err == nil {
		err = spec.Decode(b, &r)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprintf("%s, a %s; epoch %d\n", r.Tier, r.Organisation.Role, s.clock().Epoch)
}

func span(t testing.TB, text string) uint64 {
	days := 0
	if n, rest, ok := strings.Cut(text, "d"); ok {
		days, _ = strconv.Atoi(n)
		text = rest
	}
	d, err := time.ParseDuration("0s" + text)
	if err != nil {
		t.Fatal(err)
	}
	return uint64(days)*day + uint64(d.Milliseconds())
}

// adjust changes a policy as the arguments say.
func adjust(t testing.TB, p *spec.Policy, d *datadriven.TestData) {
	for _, a := range d.CmdArgs {
		name, value := a.Key, strings.Join(a.Vals, " ")
		number := func() uint64 {
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return n
		}
		switch name {
		case "freeze":
			p.Freeze = true
		case "proposer-does-not-count":
			p.Addition.ProposerCounts = false
		case "jurisdictions":
			p.Addition.Jurisdictions = number()
		case "cool-down":
			p.Addition.CooldownMS = span(t, value)
		case "quorum":
			p.Addition.Quorum = spec.Fraction{Num: number(), Den: 100}
		case "threshold":
			p.Addition.Threshold = spec.Fraction{Num: number(), Den: 100}
		case "per-day":
			p.Addition.PerDay = number()
		case "urgent-per-day":
			p.Urgent.PerDay = number()
		case "outside-per-day":
			p.OutsidePerDay = number()
		case "urgent-approvals":
			p.Urgent.Approvals = number()
		case "no-clocks":
			p.Clocks = spec.Clocks{}
		case "sequencers":
			p.Sequencers = strings.Fields(value)
		case "k":
			p.FinalityK = number()
		}
	}
}

func arg(d *datadriven.TestData, name string) string {
	for _, a := range d.CmdArgs {
		if a.Key == name {
			return strings.Join(a.Vals, " ")
		}
	}
	return ""
}

func (s *story) policy() spec.Policy {
	var p spec.Policy
	s.read(spec.PolicyKey, &p)
	return p
}

// submit makes the operation of a step and says what became of it.
func (s *story) submit(d *datadriven.TestData) string {
	s.t.Helper()
	body, o := s.body(d)
	by, before := arg(d, "by"), s.ledger.Size()
	p, err := spec.NewOp(body)
	if err != nil {
		return fmt.Sprintf("cannot be signed, %s: %v\n", spec.CodeOf(err), err)
	}
	p.Org, p.Key = by, publicKey(s.keys[by]).ID()
	s.seq[by]++
	p.Seq, p.Epoch, p.MadeMS = s.seq[by], s.clock().Epoch, s.now
	out := s.enter(0, submission(s.t, s.sign(p, s.keys[by]), o))[0]
	if out.Code != "" {
		return s.named(fmt.Sprintf("refused, %s: %s\n", out.Code, out.Message))
	}
	if as := arg(d, "as"); as != "" {
		s.names[as] = out.ID
	}
	return s.leaves(before)
}

// leaves tells what was derived since the log had a size.
func (s *story) leaves(since uint64) string {
	var b strings.Builder
	for _, raw := range s.ledger.log[since:] {
		l, err := spec.ParseLeaf(raw)
		if err != nil {
			s.t.Fatal(err)
		}
		s.leaf(&b, l)
	}
	if b.Len() == 0 {
		return "ok\n"
	}
	return s.named(b.String())
}

// seats tells who sits on a panel.
func seats(p *spec.Panel) string {
	var out []string
	for _, x := range p.Seats {
		out = append(out, x.Org)
	}
	return strings.Join(out, " ")
}

func (s *story) leaf(b *strings.Builder, l spec.Leaf) {
	switch {
	case l.Admission != nil:
		for _, f := range l.Admission.Findings {
			fmt.Fprintf(b, "found: item %d of %s, %d %s\n", f.Item, l.Admission.Case, f.Count, spec.FindingName(f.What))
		}
	case l.Notice != nil:
		n := l.Notice
		about := fmt.Sprint("case ", n.Case)
		if n.Case.IsZero() {
			about = "a decision"
		}
		fmt.Fprintf(b, "%s: %s, %s: %s\n", [...]string{"", "notice", "mark"}[n.Level], spec.NoticeName(n.What), about, strings.Join(n.Orgs, " "))
	case l.Panel != nil:
		fmt.Fprintf(b, "panel %d: %s; %d make final\n", l.Panel.Number, seats(l.Panel), l.Panel.K)
	case l.Decision != nil:
		fmt.Fprintf(b, "decided: %s is %s, %d to %d\n", l.Decision.Case, spec.OutcomeName(l.Decision.Outcome), l.Decision.Yes, l.Decision.No)
		for i := range 8 * len(l.Decision.Excluded) {
			if l.Decision.Excluded[i/8]&(1<<(i%8)) != 0 {
				fmt.Fprintf(b, "decided: item %d of %s is left out\n", i, l.Decision.Case)
			}
		}
	}
}

// named puts names in the place of ids.
func (s *story) named(text string) string {
	var names []string
	for n := range s.names {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		id := s.names[n]
		text = strings.ReplaceAll(text, id.String(), n)
		for i := range 8 {
			e := spec.EntryID(id, i)
			text = strings.ReplaceAll(text, e.String(), fmt.Sprintf("%s/%d", n, i))
			for _, r := range names {
				text = strings.ReplaceAll(text, spec.ReviewID(s.names[r], e).String(), fmt.Sprintf("review of %s/%d", n, i))
			}
		}
	}
	return text
}

// id is the case of a name, or the review of "review:revocation:case/item".
func (s *story) id(name string) spec.Hash {
	if rest, ok := strings.CutPrefix(name, "review:"); ok {
		revocation, entry, _ := strings.Cut(rest, ":")
		return spec.ReviewID(s.names[revocation], s.entry(entry))
	}
	return s.names[name]
}

func (s *story) entry(name string) spec.Hash {
	of, item, _ := strings.Cut(name, "/")
	n, err := strconv.Atoi(item)
	if err != nil {
		s.t.Fatalf("%q is no entry: %v", name, err)
	}
	return spec.EntryID(s.names[of], n)
}

func (s *story) show(d *datadriven.TestData) string {
	lines, err := governance.Explain(s.ledger, s.id(d.CmdArgs[0].Key))
	if err != nil {
		return fmt.Sprintf("%s: %v\n", spec.CodeOf(err), err)
	}
	return s.named(strings.Join(lines, "\n") + "\n")
}

// entries tells the states of the entries of a case.
func (s *story) entries(d *datadriven.TestData) string {
	var b strings.Builder
	id := s.id(d.CmdArgs[0].Key)
	var k spec.Case
	s.read(spec.CaseKey(id), &k)
	for i := range int(k.Items) {
		var e spec.Entry
		if !s.read(spec.EntryKey(spec.EntryID(id, i)), &e) {
			fmt.Fprintf(&b, "%d: no entry\n", i)
			continue
		}
		fmt.Fprintf(&b, "%d: %s", i, spec.StateName(e.State))
		if off := e.Off(); len(off) > 0 {
			fmt.Fprintf(&b, ", without signals %v", off)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (s *story) match(d *datadriven.TestData) string {
	var b strings.Builder
	for _, a := range d.CmdArgs {
		states := s.ledger.matches(signalOf(a.Key))
		if len(states) == 0 {
			states = []string{"nothing"}
		}
		fmt.Fprintf(&b, "%s: %s\n", a.Key, strings.Join(states, ", "))
	}
	return b.String()
}

func (s *story) marks() string {
	var b strings.Builder
	s.ledger.Records(spec.MarksPrefix, func(k, v []byte) bool {
		var m spec.MarksRecord
		if err := spec.Decode(v, &m); err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s: %d referrals, %d disputes, %d confirmations\n", k[1:], m.Referral, m.Dispute, m.Matchable)
		return true
	})
	if b.Len() == 0 {
		return "none\n"
	}
	return b.String()
}

// signalOf makes a signal of a name: sha256, or after "pdq-" a PDQ. "pdq-x~9"
// differs in nine bits from "pdq-x", "pdq-x@60" has quality 60, "pdq-flat" is of a
// flat picture, "nothing" is the digest of no bytes.
func signalOf(name string) spec.Signal {
	rest, ok := strings.CutPrefix(name, "pdq-")
	if !ok {
		if name == "nothing" {
			h := sha256.Sum256(nil)
			return spec.Signal{Type: "sha256", Value: h[:]}
		}
		return sha(name)
	}
	quality := 90
	if of, q, ok := strings.Cut(rest, "@"); ok {
		rest = of
		quality, _ = strconv.Atoi(q)
	}
	rest, flips, _ := strings.Cut(rest, "~")
	h := sha256.Sum256([]byte(rest))
	if rest == "flat" {
		h = [32]byte{}
	}
	n, _ := strconv.Atoi(flips)
	for i := range n {
		h[i/8] ^= 1 << (i % 8)
	}
	return spec.Signal{Type: "pdq", Value: h[:], Quality: quality}
}
